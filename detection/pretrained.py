"""Detectors with trained weights, for use as they are or for other classes."""

import os
import warnings
from typing import Any

import keras

from detection.box_predictor import BoxPredictor
from detection.build import build_model
from detection.categories import make_categories
from detection.faster_rcnn import FasterRCNN
from detection.from_torchvision import load_torchvision
from detection.model_config import ModelConfig
from detection.saving import Preprocessing, load
from detection.weights import state
from detection.weights.registry import list_detectors
from keras_resnet.normalization import EPSILON
from keras_resnet.training.artifact import assign
from keras_resnet.training.config_words import validated
from keras_resnet.training.devices import precision_kept
from keras_resnet.training.model_kind import DETECTOR, find_artifact
from keras_resnet.training.variable_keys import variable_keys

__all__ = ["from_pretrained", "load_pretrained", "load_torchvision", "make_categories"]

AS_SOURCE = "as_source"
_SECTIONS = ("backbone", "rpn", "roi_heads")
_NOT_IN_TENSORS = {
    "": ("architecture", "pixel_mean", "pixel_std"),
    "backbone": ("stride_in", "norm_epsilon", "levels"),
    "rpn": ("anchor_offset", "anchor_rounded", "anchor_fit_strides", "aspect_ratios"),
    "roi_heads": (
        "pooling",
        "pool_size",
        "sampling_ratio",
        "aligned",
        "canonical_size",
        "canonical_level",
        "class_agnostic",
        "box_weights",
    ),
}


def from_pretrained(
    source,
    class_names=None,
    freeze=AS_SOURCE,
    backbone=None,
    rpn=None,
    roi_heads=None,
    preprocessing=None,
    precision="float32",
    seed=None,
):
    """Make a detector from trained weights; see `FasterRCNN.from_pretrained`."""
    origin = _with_architecture(_origin(source, precision))
    changes = (class_names, backbone, rpn, roi_heads, preprocessing, seed)
    if origin is not source and freeze == AS_SOURCE and all(c is None for c in changes):
        return origin
    config = _changed(origin.architecture, freeze, backbone, rpn, roi_heads)
    categories = origin.categories if class_names is None else make_categories(class_names)
    sizes = _resizing({**origin.preprocessing, **(preprocessing or {})})
    with precision_kept():
        keras.config.set_dtype_policy(precision or origin.dtype_policy.name)
        model = build_model(config, categories, sizes, seed or 0)
    _copy(origin, model, with_predictors=class_names is None)
    return model


def load_pretrained(
    model: FasterRCNN, source: str | os.PathLike[str] | dict[str, Any] | FasterRCNN
) -> FasterRCNN:
    """Fill a detector with trained weights, to train it further.

    The output layers are loaded too where the source has the same classes in the same order, and
    else stay as they are.

    Args:
        model: a `FasterRCNN` made by `build_model`, of the architecture of the source.
        source: as for `FasterRCNN.from_pretrained`.

    Returns:
        `model`.

    Raises:
        ValueError: if there is nothing to load, the weights do not fit, or the model computes
            something else with them, e.g. from pixels of another mean; nothing is loaded then.
        FileNotFoundError: if there is no such file.
        OSError: if published weights are not on this machine; says how to get them.

    Warns:
        UserWarning: if the anchors have other sizes than those that the weights were trained with,
            which is of use only where the model is trained further.

    Example:

    ```python
    model = detection.build_model(config.model, categories)
    detection.load_pretrained(model, "runs/coco")
    ```
    """
    origin = _with_architecture(_origin(source, None))
    different = _differences(origin.architecture, _with_architecture(model).architecture)
    if different:
        raise ValueError(
            "The model computes something else with these weights than they were trained for; "
            "change its configuration:\n  " + "\n  ".join(different)
        )
    sizes = [_option(m.architecture, "rpn", "anchor_sizes") for m in (origin, model)]
    if sizes[0] != sizes[1]:
        warnings.warn(
            "The weights were trained with anchors of other sizes: they propose regions of the "
            "wrong size until they are trained with these. To keep the anchors of the weights, set "
            f"model.rpn.anchor_sizes to {sizes[0]}. Received: anchor_sizes={sizes[1]}",
            stacklevel=2,
        )
    _copy(origin, model, with_predictors=origin.class_names == model.class_names)
    return model


def _origin(source, precision):
    if isinstance(source, FasterRCNN):
        return source
    if state.is_torchvision(source):
        return load_torchvision(source, precision=precision or "float32")
    _refuse_absent(source)
    return load(source, precision=precision)


def check_source(source):
    """Raise what `load_pretrained` would where it does not find the weights; nothing is loaded.

    Args:
        source: str, as for `load_pretrained`.

    Returns:
        str on what would be downloaded, None where nothing would.

    Raises:
        ValueError, OSError: as `load_pretrained`.
    """
    if state.is_torchvision(source):
        return state.check_source(source)
    _refuse_absent(source)
    if os.fspath(source).endswith(".keras"):
        load(source)  # refused unread, since nobody says that it is trusted
    find_artifact(source, DETECTOR)
    return None


def _refuse_absent(source):
    if not os.path.exists(source):
        raise FileNotFoundError(
            "`source` must be a run folder, a saved model, a .safetensors file, 'hf://owner/name' "
            f"or one of {', '.join(row.name for row in list_detectors())}. "
            f"Received: source={os.fspath(source)!r}, which does not exist"
        )


def _with_architecture(model):
    if model.architecture is None:
        raise ValueError(
            "The model must be made by `detection.build_model`, which notes its architecture. "
            f"Received: {model.name}, without architecture"
        )
    return model


def _differences(source, model):
    """Lines on the options with which the same tensors compute something else."""
    lines = []
    for section, names in _NOT_IN_TENSORS.items():
        for name in names:
            values = [_option(a, section, name) for a in (source, model)]
            if values[0] != values[1]:
                key = f"{section}.{name}" if section else name
                lines.append(f"{key}: {values[0]} in the source, {values[1]} in the model")
    return lines


def _option(architecture, section, name):
    value = architecture[section][name] if section else architecture[name]
    return EPSILON if name == "norm_epsilon" and value is None else value


def _changed(architecture, freeze, *sections):
    values = {**architecture, "backbone": {**architecture["backbone"], "weights": None}}
    for name, changes in zip(_SECTIONS, sections):
        values[name] = {**values[name], **(changes or {})}
    if freeze != AS_SOURCE:
        values["backbone"]["freeze"] = freeze
    return validated(ModelConfig, values, "There is no such detector")


def _resizing(preprocessing):
    """How images are resized, refused where a key is unknown or missing."""
    if not preprocessing:
        return preprocessing
    wrong = "`preprocessing` does not say how images are resized"
    return validated(Preprocessing, preprocessing, wrong).model_dump(exclude_unset=True)


def _copy(origin, model, with_predictors):
    """Give `model` the weights of `origin`, all but the sampling's state and the output layers."""
    left = [set(_fresh(m, with_predictors)) for m in (origin, model)]
    arrays, variables = (
        {key: v for key, v in variable_keys(m).items() if id(v) not in fresh}
        for m, fresh in zip((origin, model), left)
    )
    assign(variables, {k: keras.ops.convert_to_numpy(v) for k, v in arrays.items()})


def _fresh(model, with_predictors):
    yield id(model.seed_generator.state)
    for layer in () if with_predictors else model.roi_heads._flatten_layers():
        if isinstance(layer, BoxPredictor):
            yield from (id(variable) for variable in layer.variables)
