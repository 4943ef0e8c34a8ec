"""Load weights into a network, whatever they come from."""

import os

import keras

from keras_resnet._arguments import choose
from keras_resnet.preprocessing import STYLES, style_of_normalization
from keras_resnet.untrusted import safetensors_file
from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.weights import files, hub, keras_applications
from keras_resnet.weights.assign import assign, refuse_misfits
from keras_resnet.weights.registry import REGISTRY, check_variant, imagenet_row
from keras_resnet.weights.torchvision import from_torch_layout, torchvision_names
from keras_resnet.weights.variant import (
    TORCHVISION,
    differences,
    variant_in,
    warn_unless_torchvision,
)


def load_weights(
    model: keras.Model,
    weights: str | os.PathLike[str] | keras.Model,
    preprocessing: str | None = None,
) -> keras.Model:
    """Fill a network with trained weights.

    Every tensor must have its place and every weight its tensor, except that a network without
    classifier leaves the classifier of the weights aside. The preprocessing that the weights want
    is recorded in the network, see `preprocess_input_for`.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.
        weights: one of

            - `"imagenet"`: the first row of `keras_resnet.weights.list()` that has the model's
              architecture and variant: torchvision's first weights, and those of
              `keras.applications` for `stride_in="1x1"`.
            - a name of `list_weights()`.
            - `"hf://owner/repository"` whose `model.safetensors` has torchvision's names.
            - the path of a `.safetensors` file with torchvision's names, or of a `.weights.h5` or
              `.keras` file of such a network.
            - a ResNet of `keras.applications`, the model itself or the path of the `.h5` file that
              Keras downloads for it. Its `ResNet50` strides in the 1x1 convolution
              (`stride_in="1x1"`) and has convolutions with biases, which are folded into the
              norms; its `ResNet50V2` is `keras_resnet.ResNet50V2`.
        preprocessing: str, the `style` of `preprocess_input` that the weights were trained with,
            or None for what their source says. Files with torchvision's names that say nothing
            are taken for torchvision's; a `.weights.h5` says nothing, neither this nor the
            variant, and changes nothing.

    Returns:
        `model`.

    Raises:
        ValueError: if the weights do not fit, belong to another variant, are pickled or unknown.
        FileNotFoundError: if there is no such file.
        OSError: if a download is needed and fails; says where to place the file instead.

    Warns:
        UserWarning: if a file with torchvision's names does not say of which variant its weights
            are, and the model is not torchvision's.

    Example:

    >>> model = keras_resnet.ResNet50(include_top=False)
    >>> keras_resnet.load_weights(model, "imagenet")  # doctest: +SKIP
    """
    if preprocessing is not None:
        choose("preprocessing", preprocessing, tuple(STYLES))
    if isinstance(weights, keras.Model):
        arrays = keras_applications.read_model(weights)
        source = f"the model {weights.name!r}"
        style = _load_keras_applications(model, arrays, source)
    else:
        weights = os.fspath(weights)
        row = named_row(model, weights)
        if row is not None:
            check_variant(model, row)
            _load_row(model, row)
            style = row.preprocessing
        elif weights.startswith("hf://"):
            style = _load_repository(model, weights)
        else:
            style = _load_file(model, weights)
    style = preprocessing or style
    if style is not None:
        model.get_layer("stem").preprocessing = style
    return model


def named_row(model, weights):
    """Return the row of the registry that `weights` names, or None.

    Args:
        model: as in `load_weights`.
        weights: str.

    Raises:
        ValueError: `weights` are `"imagenet"`, of which there are none for the model.
    """
    if weights == "imagenet":
        return imagenet_row(model)
    return REGISTRY.get(weights) or next(
        (row for row in REGISTRY.values() if row.repository and row.source == weights), None
    )


def _load_row(model, row):
    if row.repository is None:
        arrays = keras_applications.read_model(keras_applications.fetch(row))
        _load_keras_applications(model, arrays, row.name)
    else:
        _load_safetensors(model, hub.fetch(row.repository), row.name, TORCHVISION)


def _load_repository(model, weights):
    path = hub.fetch(weights.removeprefix("hf://"))
    notes = files.read_notes(path)
    # timm's repositories say how to normalize, and their ResNets are as torchvision's.
    published = hub.config_beside(path).get("pretrained_cfg", {})
    variant = notes.get("variant", TORCHVISION if published else None)
    _load_safetensors(model, path, weights, variant)
    if "preprocessing" not in notes and "mean" in published and "std" in published:
        return style_of_normalization(published["mean"], published["std"], weights)
    return notes.get("preprocessing", "torch")


def check_file(path):
    """Refuses the path of a file that is not there, or that no weights are read from.

    Args:
        path: str.

    Raises:
        ValueError: it has another ending, or is no name of published weights.
        FileNotFoundError: there is no such file.
    """
    files.refuse_pickle(path)
    suffixes = (*files.SUFFIXES, ".h5")
    if not path.endswith(suffixes):
        if os.path.exists(path) or os.path.dirname(path):
            raise ValueError(
                f"A weights file ends in one of {', '.join(suffixes)}. Received: weights={path!r}"
            )
        choose("weights", path, ("imagenet", *REGISTRY))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no weights file {path}")


def _load_file(model, path):
    check_file(path)
    if path.endswith(".safetensors"):
        notes = files.read_notes(path)
        _load_safetensors(model, path, path, notes.get("variant"))
        return notes.get("preprocessing", "torch")
    if not path.endswith(files.SUFFIXES):
        return _load_keras_applications(model, keras_applications.read_file(path), path)
    config = files.read_description(path)["config"] if path.endswith(".keras") else {}
    problems = differences(model, _variant_in(config, path))
    names = files.keras_names(model)

    def used(arrays):
        if _has_classifier(model):
            return arrays
        return {k: v for k, v in arrays.items() if not k.startswith("layers/dense/")}

    def check(arrays):
        refuse_misfits(names, used(arrays), path, problems)

    assign(names, used(files.read_keras(path, check)), path, problems)
    return config.get("preprocessing")


def _variant_in(config, path):
    try:
        return variant_in(config)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise UntrustedFileError(f"{path} describes no network of keras_resnet: {error}") from None


def refuse_safetensors(model, path, source=None, variant=None):
    """Raise what loading a file with torchvision's names would, without reading its tensors.

    Args:
        model: as in `load_weights`; its variables need no values.
        path: str, of a `.safetensors` file.
        source: str, how errors name the file; None for `path`.
        variant: dict of what is known of the weights; None for nothing.

    Raises:
        ValueError: if the weights do not fit.
    """
    _refuse_tensors(model, safetensors_file.placeholders(path), source or path, variant)


def _refuse_tensors(model, arrays, source, variant):
    problems = differences(model, variant or {})
    refuse_misfits(torchvision_names(model), _of_the_model(model, arrays), source, problems)


def _of_the_model(model, arrays):
    """Tensors under torchvision's names in Keras' layout, without those that it has no use for."""
    skipped = ("num_batches_tracked",) if _has_classifier(model) else ("num_batches_tracked", "fc")
    return {
        name: from_torch_layout(name, array)
        for name, array in arrays.items()
        if name.split(".")[-1] not in skipped and name.split(".")[0] not in skipped
    }


def _load_safetensors(model, path, source, variant):
    """Load a file with torchvision's names; `variant` is what is known of it, None for nothing."""

    def check(arrays):
        _refuse_tensors(model, arrays, source, variant)

    arrays = files.read_safetensors(path, check)
    assign(torchvision_names(model), _of_the_model(model, arrays), source)
    if variant is None:
        warn_unless_torchvision(model, source)


def _load_keras_applications(model, arrays, source):
    version = keras_applications.version(arrays)
    if version is None:
        raise ValueError(
            "A model or .h5 file given as weights must be a ResNet50, ResNet101, ResNet152 of "
            f"keras.applications, or one of their V2. Received: {source}"
        )
    arrays = keras_applications.folded(arrays, model)
    if not _has_classifier(model):
        arrays = {k: v for k, v in arrays.items() if not k.startswith("predictions/")}
    assign(
        keras_applications.names(model),
        arrays,
        source,
        differences(model, version.variant),
    )
    return version.preprocessing


def _has_classifier(model):
    return any(layer.name == "predictions" for layer in model.layers)
