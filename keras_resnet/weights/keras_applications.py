"""Weights of the ResNets of `keras.applications`, from the model object or its .h5 file."""

import dataclasses
import os
import re

import keras
import numpy as np

from keras_resnet.untrusted import hdf5_file
from keras_resnet.untrusted.errors import UntrustedFileError

_STAGE = re.compile(r"stage(\d+)_block(\d+)")
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_EPSILON = 1.001e-5  # of all their norms


@dataclasses.dataclass(frozen=True)
class Version:
    """What the networks of one version are, in our terms.

    Attributes:
        layers: frozenset of str, layers that only they have.
        preprocessing: str, the `style` of `preprocess_input`.
        variant: dict of arguments that the tensors do not show.
    """

    layers: frozenset
    preprocessing: str
    variant: dict


_VERSIONS = (
    Version(
        frozenset({"conv1_conv", "conv1_bn", "conv2_block1_0_bn"}),
        "caffe",
        {"stride_in": "1x1", "stride_at": "first", "shortcut": "projection"},
    ),
    Version(
        frozenset({"conv1_conv", "post_bn", "conv2_block1_preact_bn"}),
        "tf",
        {"stride_in": "3x3", "stride_at": "last", "shortcut": "max_pool"},
    ),
)


def version(arrays):
    """Return the `Version` that arrays by name are of, None if of no ResNet of theirs."""
    layers = {name.split("/")[0] for name in arrays}
    return next((version for version in _VERSIONS if version.layers <= layers), None)


def fetch(row):
    """Return the `keras.applications` model of a row of the registry, with its weights.

    Raises:
        OSError: if the file is neither here nor reachable; says where to place it.
    """
    try:
        return getattr(keras.applications, row.architecture)(weights="imagenet")
    # Keras raises a bare Exception for a failed download.
    except Exception as error:
        place = local_path(row)
        raise OSError(
            f"The weights {row.name} are not on this machine and could not be downloaded "
            f"({str(error).splitlines()[0]}). Download "
            "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
            f"{os.path.basename(place)} elsewhere and place it at {place}"
        ) from error


def local_path(row):
    """Return where Keras keeps the file of a row of the registry on this machine, a str."""
    file_name = f"{row.architecture.lower()}_weights_tf_dim_ordering_tf_kernels.h5"
    home = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
    return os.path.join(home, "models", file_name)


def names(model):
    """Map the names of `keras.applications` to the variables of a network.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.

    Returns:
        Dict from `"<layer>/<variable>"`, for example `"conv2_block1_1_bn/gamma"`, to variable.
    """
    found = {}
    for layer in model.layers:
        if layer.name == "stem":
            for i, (conv, norm) in enumerate(layer.units):
                found |= _unit(f"conv1_{i}" if i else "conv1", conv, norm)
        elif layer.name == "post_norm":
            found |= _norm("post", layer)
        elif layer.name == "predictions":
            found |= {"predictions/kernel": layer.kernel, "predictions/bias": layer.bias}
        elif match := _STAGE.fullmatch(layer.name):
            prefix = f"conv{match[1]}_block{match[2]}"
            if hasattr(layer, "preact_norm"):
                found |= _norm(f"{prefix}_preact", layer.preact_norm)
            for i, (conv, norm) in enumerate(layer.units, start=1):
                found |= _unit(f"{prefix}_{i}", conv, norm)
            if layer.shortcut is not None and layer.shortcut.weights:
                for conv, norm in layer.shortcut.units:
                    found |= _unit(f"{prefix}_0", conv, norm)
    return found


def read_model(source):
    """Return the weights of a model by `"<layer>/<variable>"`."""
    return {
        f"{layer.name}/{variable.name}": np.array(variable, "float32")
        for layer in source.layers
        for variable in layer.variables
    }


def read_file(path):
    """Return the weights of an .h5 file, as `keras.applications` downloads them, by the same names.

    Raises:
        ValueError: if it is no such file.
    """
    places = {}
    # Names are taken from where the arrays are. The lists of names beside them are not read: HDF5
    # keeps texts in a place that it reads for ever where it is damaged.
    with hdf5_file.open_arrays(path, path) as (file, datasets):
        prefix = "model_weights/" if "model_weights" in file else ""
        for place, dataset in datasets.items():
            layer, *inner = place.removeprefix(prefix).split("/")
            if not inner or not place.startswith(prefix):
                continue
            # Older files call the classifier so.
            layer = "predictions" if layer == "probs" else layer
            own = f"{layer}/{inner[-1].removesuffix(':0')}"
            if own in places:
                raise UntrustedFileError(f"{path} holds {own!r} twice.")
            places[own] = dataset
        found = hdf5_file.read_arrays(places, path)
    return {name: np.asarray(array, "float32") for name, array in found.items()}


def folded(found, model):
    """Return the weights of `keras.applications` as they are for one of our networks.

    A norm takes away what the convolution before it added to every pixel, so that
    `norm(conv(x) + bias)` is `norm(conv(x))` with the moving mean reduced by the bias. Another
    epsilon is made up for in the variance.

    Args:
        found: dict from the names of `names` to NumPy array.
        model: as in `names`.

    Returns:
        Dict from the names of `names` to NumPy array.
    """
    found = dict(found)
    for name in [name for name in found if name.endswith("_conv/bias")]:
        mean = name.replace("_conv/bias", "_bn/moving_mean")
        if mean in found:
            found[mean] = found[mean] - found.pop(name)
    epsilon = next(layer.epsilon for layer in model._flatten_layers() if hasattr(layer, "epsilon"))
    for name in found:
        if name.endswith("/moving_variance"):
            found[name] = found[name] + (_EPSILON - epsilon)
    return found


def _unit(prefix, conv, norm):
    unit = {f"{prefix}_conv/kernel": conv.kernel}
    if conv.use_bias:
        unit[f"{prefix}_conv/bias"] = conv.bias
    return unit if norm is None else unit | _norm(prefix, norm)


def _norm(prefix, norm):
    present = (name for name in _NORM if getattr(norm, name, None) is not None)
    return {f"{prefix}_bn/{name}": getattr(norm, name) for name in present}
