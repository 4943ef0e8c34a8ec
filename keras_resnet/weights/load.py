"""Load weights into a network, whatever they come from."""

import os

from keras_resnet._arguments import choose
from keras_resnet.weights import files, hub
from keras_resnet.weights.assign import assign
from keras_resnet.weights.registry import REGISTRY, check_variant, imagenet_row
from keras_resnet.weights.torchvision import from_torch_layout, torchvision_names


def load_weights(model, weights):
    """Fill a network with trained weights.

    Every tensor must have its place and every weight its tensor, except that a network without
    classifier leaves the file's classifier aside.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.
        weights: `"imagenet"`; a name of `list_weights()`; `"hf://owner/repository"` whose
            `model.safetensors` has torchvision's names; or the path of a `.safetensors` file with
            torchvision's names, or of a `.weights.h5` or `.keras` file of such a network.

    Returns:
        `model`.

    Raises:
        ValueError: if the weights do not fit, belong to another variant, are pickled or unknown.
        FileNotFoundError: if there is no such file.
        OSError: if a download is needed and fails; says where to place the file instead.

    Example:

    >>> model = keras_resnet.ResNet50(include_top=False)
    >>> keras_resnet.load_weights(model, "imagenet")  # doctest: +SKIP
    """
    weights = os.fspath(weights)
    if weights == "imagenet":
        row = imagenet_row(model)
    elif weights.startswith("hf://"):
        repository = weights.removeprefix("hf://")
        row = next((row for row in REGISTRY.values() if row.repository == repository), None)
        if row is None:
            _load_safetensors(model, hub.fetch(repository), weights)
            return model
    elif weights in REGISTRY:
        row = REGISTRY[weights]
    else:
        _load_file(model, weights)
        return model
    check_variant(model, row)
    _load_safetensors(model, hub.fetch(row.repository), row.name)
    return model


def _load_file(model, path):
    files.refuse_pickle(path)
    if not path.endswith(files.SUFFIXES):
        if os.path.exists(path) or os.path.dirname(path):
            raise ValueError(
                f"A weights file ends in one of {', '.join(files.SUFFIXES)}. "
                f"Received: weights={path!r}"
            )
        choose("weights", path, ("imagenet", *REGISTRY))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no weights file {path}")
    if path.endswith(".safetensors"):
        _load_safetensors(model, path, path)
        return
    arrays = files.read_keras(path)
    if path.endswith(".keras"):
        _check_config(model, path)
    variables = files.keras_names(model)
    if not _has_classifier(model):
        arrays = {k: v for k, v in arrays.items() if not k.startswith("layers/dense/")}
    assign(variables, arrays, path)


def _load_safetensors(model, path, source):
    skipped = ("num_batches_tracked",) if _has_classifier(model) else ("num_batches_tracked", "fc")
    arrays = {
        name: from_torch_layout(array)
        for name, array in files.read_safetensors(path).items()
        if name.split(".")[-1] not in skipped and name.split(".")[0] not in skipped
    }
    assign(torchvision_names(model), arrays, source)


def _has_classifier(model):
    return any(layer.name == "predictions" for layer in model.layers)


def _check_config(model, path):
    """Refuse a `.keras` file of a network that strides elsewhere than `model`."""
    saved = files.read_config(path).get("stride_in")
    for layer in model.layers:
        stride_in = getattr(layer, "stride_in", None)
        if None not in (saved, stride_in) and stride_in != saved:
            raise ValueError(
                f"{path} holds a network with stride_in={saved!r}; build the model with that. "
                f"Received: a model with stride_in={stride_in!r}"
            )
