"""Weights of the ResNets of `keras.applications`, from the model object."""

import os
import re

import keras
import numpy as np

_STAGE = re.compile(r"stage(\d+)_block(\d+)")
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def is_v1(source):
    """Tell whether a model has the layers of `keras.applications.ResNet50` and its like."""
    names = {layer.name for layer in source.layers}
    return {"conv1_conv", "conv1_bn", "conv2_block1_0_conv"} <= names


def fetch(row):
    """Return the `keras.applications` model of a row of the registry, with its weights.

    Raises:
        OSError: if the file is neither here nor reachable; says where to place it.
    """
    try:
        return getattr(keras.applications, row.architecture)(weights="imagenet")
    # Keras raises a bare Exception for a failed download.
    except Exception as error:
        file_name = f"{row.architecture.lower()}_weights_tf_dim_ordering_tf_kernels.h5"
        home = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
        raise OSError(
            f"The weights {row.name} are not on this machine and could not be downloaded "
            f"({str(error).splitlines()[0]}). Download "
            "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
            f"{file_name} elsewhere and place it at {os.path.join(home, 'models', file_name)}"
        ) from error


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
            found |= _unit("conv1", layer.conv, layer.norm)
        elif layer.name == "predictions":
            found |= {"predictions/kernel": layer.kernel, "predictions/bias": layer.bias}
        elif match := _STAGE.fullmatch(layer.name):
            prefix = f"conv{match[1]}_block{match[2]}"
            for i, (conv, norm) in enumerate(layer.units, start=1):
                found |= _unit(f"{prefix}_{i}", conv, norm)
            if layer.shortcut is not None and layer.shortcut.weights:
                found |= _unit(f"{prefix}_0", layer.shortcut.conv, layer.shortcut.norm)
    return found


def arrays(source, epsilon):
    """Return the weights of a `keras.applications` model as those of a network without biases.

    A norm takes away what the convolution before it added to every pixel, so that
    `norm(conv(x) + bias)` is `norm(conv(x))` with the moving mean reduced by the bias. Another
    epsilon is made up for in the variance.

    Args:
        source: `keras.Model`.
        epsilon: float, that of the norms that the arrays are for.

    Returns:
        Dict from the names of `names` to NumPy array.
    """
    found = {}
    for layer in source.layers:
        found |= {f"{layer.name}/{v.name}": np.array(v, "float32") for v in layer.variables}
    for name in [name for name in found if name.endswith("_conv/bias")]:
        mean = name.replace("_conv/bias", "_bn/moving_mean")
        if mean in found:
            found[mean] = found[mean] - found.pop(name)
    for layer in source.layers:
        variance = f"{layer.name}/moving_variance"
        if variance in found:
            found[variance] = found[variance] + (layer.epsilon - epsilon)
    return found


def _unit(prefix, conv, norm):
    unit = {f"{prefix}_conv/kernel": conv.kernel}
    present = (name for name in _NORM if getattr(norm, name, None) is not None)
    return unit | {f"{prefix}_bn/{name}": getattr(norm, name) for name in present}
