"""Detectors with trained weights, for use as they are or for other classes."""

import contextlib
import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import pydantic

from detection.box_predictor import BoxPredictor
from detection.build import build_model
from detection.faster_rcnn import FasterRCNN
from detection.model_config import ModelConfig
from detection.model_size import refuse_larger
from detection.saving import Category, Preprocessing, load
from detection.weights.coco import ROWS, coco_classes
from detection.weights.infer import PREPROCESSING, config_of
from detection.weights.names import assign_state, refuse_misfits, torchvision_places
from detection.weights.registry import list_detectors
from detection.weights.state import is_torchvision, read_state
from keras_resnet.normalization import EPSILON
from keras_resnet.training.artifact import assign
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.untrusted.dry_run import dry_run

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


def load_torchvision(
    source: str | os.PathLike[str] | dict[str, Any],
    class_names: Sequence[Any] | None = None,
    unused_classes: bool = False,
    norm: str | None = None,
    norm_epsilon: float | None = None,
    precision: str | None = "float32",
    seed: int = 0,
) -> FasterRCNN:
    """Build the detector that torchvision's weights are for, with all of torchvision's rules.

    Args:
        source: see `detection.weights.read_state`: a published name, a `.safetensors` file,
            `"hf://owner/name"` or a state dict of arrays.
        class_names: what the classes are called, without background: a list of str (numbered
            from 1) or of `{"id": int, "name": str}`. None for COCO's, if there are 91 classes
            with the background, and for their numbers otherwise.
        unused_classes: bool, keep the ten of COCO's 90 ids that no object has, so that scores
            equal torchvision's to the last digit. Without them there are 80 classes, as in
            COCO's files, and what little probability they had goes to the others.
        norm: `"batch"` or `"frozen"`, the norms of the backbone; None for those that the weights
            were trained with.
        norm_epsilon: float, what these add to the variance; None for what the weights were
            trained with: 0 for torchvision's first published weights.
        precision: dtype policy of the model.
        seed: int, seed of the sampling in training.

    Returns:
        A built `FasterRCNN`, not compiled, with the stem and the first stage frozen as in
        torchvision.

    Raises:
        ValueError: if the weights are not those of such a detector; lists every tensor that is
            missing, unexpected or of another shape.
        FileNotFoundError: if there is no such file.
        OSError: if published weights are not on this machine; says how to get them.

    Reference:
        [torchvision, models.detection](https://docs.pytorch.org/vision/stable/models.html)

    Example:

    ```python
    model = load_torchvision("fasterrcnn_resnet50_fpn_v2.safetensors")
    model.detect("photo.jpg", score_threshold=0.5).names
    ```
    """
    made = {}

    def check(state):
        """Compares what the file declares with a model without memory for its weights."""
        config, num_rows = config_of(state, norm, norm_epsilon)
        # Kernels are [out, in, h, w] there, and matrices [out, in].
        shapes = [(*s[2:], *s[1::-1]) for s in (a.shape for a in state.arrays.values())]
        refuse_larger(config, shapes, "the file")
        rows, categories = _classes(class_names, unused_classes, num_rows)

        def build():
            with _policy(precision):
                return build_model(config, categories, dict(PREPROCESSING), seed)

        dry_run(lambda: refuse_misfits(state, torchvision_places(build(), rows, num_rows)))
        made.update(build=build, rows=rows, num_rows=num_rows)

    state = read_state(source, check)
    model = made["build"]()
    assign_state(state, torchvision_places(model, made["rows"], made["num_rows"]))
    return model


def _classes(class_names, unused_classes, num_rows):
    """The rows of the weights that are kept, and the categories they stand for."""
    rows = list(range(1, num_rows))
    if class_names is not None:
        categories = make_categories(class_names)
    elif num_rows == ROWS:
        rows, categories = coco_classes(unused_classes)
    else:
        categories = make_categories([str(row) for row in rows])
    if len(categories) != len(rows):
        raise ValueError(
            f"`class_names` must name the {len(rows)} classes of the weights; "
            "FasterRCNN.from_pretrained replaces the classes. "
            f"Received: {len(categories)} names"
        )
    return rows, categories


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
    with _policy(precision or origin.dtype_policy.name):
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


def make_categories(class_names):
    """Return categories for a list of names, which are numbered from 1, or of dicts.

    Example:

    >>> make_categories(["cat", "dog"])
    [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]
    """
    if isinstance(class_names, str) or not class_names:
        raise ValueError(
            "`class_names` must be a list of at least one name. "
            f"Received: class_names={class_names!r}"
        )
    categories = [
        {"id": number, "name": entry} if isinstance(entry, str) else _category(entry)
        for number, entry in enumerate(class_names, start=1)
    ]
    for key in ("id", "name"):
        values = [category[key] for category in categories]
        if len(set(values)) < len(values):
            raise ValueError(
                f"Every class needs its own {key}; one is there twice. "
                f"Received: class_names={class_names!r}"
            )
    return categories


def _category(entry):
    try:
        return Category.model_validate(entry).model_dump()
    except pydantic.ValidationError:
        raise ValueError(
            'A class is given by its name or as {"id": int, "name": str}. '
            f"Received: class_names with {entry!r}"
        ) from None


def _origin(source, precision):
    if isinstance(source, FasterRCNN):
        return source
    if is_torchvision(source):
        return load_torchvision(source, precision=precision or "float32")
    if not os.path.exists(source):
        raise FileNotFoundError(
            "`source` must be a run folder, a saved model, a .safetensors file, 'hf://owner/name' "
            f"or one of {', '.join(row.name for row in list_detectors())}. "
            f"Received: source={os.fspath(source)!r}, which does not exist"
        )
    return load(source, precision=precision)


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
    return ModelConfig.model_validate(values)


def _resizing(preprocessing):
    """How images are resized, refused where a key is unknown or missing."""
    if not preprocessing:
        return preprocessing
    try:
        return Preprocessing.model_validate(preprocessing).model_dump(exclude_unset=True)
    except pydantic.ValidationError as error:
        problems = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors())
        raise ValueError(
            f"`preprocessing` does not say how images are resized: {problems}. "
            f"Received: {preprocessing}"
        ) from None


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


@contextlib.contextmanager
def _policy(precision):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
