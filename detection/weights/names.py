"""Names of torchvision's state dicts for the weights of our detectors, and their layout."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np

from detection.box_heads import ConvFCHead
from detection.weights.state import BODY
from keras_resnet.weights.assign import misfits
from keras_resnet.weights.torchvision import from_torch_layout, torchvision_names

HEAD = ("roi_heads.box_predictor.",)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a tensor goes: a variable, the shape expected in torch's layout, the conversion."""

    variable: keras.Variable
    shape: tuple
    convert: Callable


def torchvision_places(model, class_rows, num_rows):
    """Map the names of torchvision's state dict to the weights of a detector.

    Args:
        model: a `FasterRCNN` with a pyramid, its own RPN and a `ConvFCHead`.
        class_rows: list of int, torchvision's class of each class of the model.
        num_rows: int, torchvision's classes with the background, which is class 0 there and the
            last here.

    Returns:
        Dict from name, for example `"rpn.head.cls_logits.weight"`, to `Place`.

    Raises:
        ValueError: if torchvision has no such detector.
    """
    head = model.roi_heads.box_head
    if not isinstance(head, ConvFCHead):
        raise ValueError(
            "torchvision's detectors have a box head of convolutions and fully connected layers. "
            f"Received: a model with a {type(head).__name__}"
        )
    places = {
        BODY + name: _plain(name, variable)
        for name, variable in torchvision_names(model.backbone).items()
    }
    for name, units in (
        ("inner_blocks", model.neck.lateral_units),
        ("layer_blocks", model.neck.output_units),
    ):
        for i, unit in enumerate(units):
            places |= _unit(f"backbone.fpn.{name}.{i}", *unit)
    for i, layer in enumerate(model.rpn.convolutions):
        places |= _layer(f"rpn.head.conv.{i}.0", layer)
    places |= _layer("rpn.head.cls_logits", model.rpn.objectness)
    places |= _layer("rpn.head.bbox_pred", model.rpn.deltas)
    for i, unit in enumerate(head.units):
        places |= _unit(f"roi_heads.box_head.{i}", *unit)
    for i, layer in enumerate(head.dense):
        # Layers without weights count in the longer head: Flatten, then a ReLU after each.
        number = len(head.units) + 1 + 2 * i
        name = f"roi_heads.box_head.{number if head.units else f'fc{6 + i}'}"
        places |= _layer(name, layer)
        if i == 0:
            channels = head.units[-1][0].filters if head.units else model.neck.filters
            places[f"{name}.weight"] = _flattened(layer.kernel, channels)
    return places | _predictor(model.roi_heads.predictor, list(class_rows), num_rows)


def assign_state(state, places, skip=()):
    """Fill variables from a state dict, all or nothing.

    Args:
        state: a `State`.
        places: dict from name to `Place`.
        skip: names that begin with one of these are neither needed nor assigned.

    Raises:
        ValueError: listing every name that is missing, unexpected or of another shape. Nothing is
            assigned then.
    """
    refuse_misfits(state, places, skip)
    for name, place in places.items():
        if not name.startswith(tuple(skip)):
            place.variable.assign(place.convert(state.arrays[name]).astype("float32"))


def refuse_misfits(state, places, skip=()):
    """Raises what `assign_state` would, without assigning.

    Args:
        state: a `State`, of which the shapes count.
        places: dict from name to `Place`.
        skip: names that begin with one of these are not needed.

    Raises:
        ValueError: as `assign_state`.
    """
    arrays = {k: v for k, v in state.arrays.items() if not k.startswith(tuple(skip))}
    places = {k: v for k, v in places.items() if not k.startswith(tuple(skip))}
    lines = misfits({name: place.shape for name, place in places.items()}, arrays)
    if lines:
        raise ValueError(
            f"The weights of {state.source} do not fit the detector; nothing was loaded.\n  "
            + "\n  ".join(lines)
        )


def _unit(name, convolution, norm):
    places = _layer(f"{name}.0", convolution)
    if norm is not None:
        for torch, variable in (
            ("weight", norm.gamma),
            ("bias", norm.beta),
            ("running_mean", norm.moving_mean),
            ("running_var", norm.moving_variance),
        ):
            places[f"{name}.1.{torch}"] = _plain(torch, variable)
    return places


def _layer(name, layer):
    places = {f"{name}.weight": _plain(name, layer.kernel)}
    if layer.use_bias:
        places[f"{name}.bias"] = _plain(name, layer.bias)
    return places


def _plain(name, variable):
    """A convolution, a matrix or a vector, with the same entries in both layouts."""
    shape = tuple(variable.shape)
    if len(shape) == 4:
        shape = (shape[3], shape[2], shape[0], shape[1])
    convert = functools.partial(from_torch_layout, name)
    return Place(variable, shape[::-1] if len(shape) == 2 else shape, convert)


def _flattened(kernel, channels):
    """The matrix after the pooled regions, which torch flattens as (channel, y, x)."""
    inputs, units = kernel.shape
    side = int(np.sqrt(inputs // channels))

    def convert(array):
        maps = array.reshape(units, channels, side, side)
        return maps.transpose(2, 3, 1, 0).reshape(inputs, units)

    return Place(kernel, (units, inputs), convert)


def _predictor(predictor, rows, num_rows):
    """The output layers: rows of other classes are left out, the background moves to the end."""

    def classes(array):
        return array[[*rows, 0]].T

    def boxes(array):
        return array.reshape(num_rows, 4, -1)[rows].reshape(4 * len(rows), -1).T

    classifier, regressor = predictor.classifier, predictor.regressor
    units = classifier.kernel.shape[0]
    name = "roi_heads.box_predictor"
    return {
        f"{name}.cls_score.weight": Place(classifier.kernel, (num_rows, units), classes),
        f"{name}.cls_score.bias": Place(classifier.bias, (num_rows,), classes),
        f"{name}.bbox_pred.weight": Place(regressor.kernel, (4 * num_rows, units), boxes),
        f"{name}.bbox_pred.bias": Place(
            regressor.bias, (4 * num_rows,), lambda array: boxes(array)[0]
        ),
    }
