"""Names of torchvision's and timm's state dicts for the weights of our networks."""

import re

import numpy as np

_STAGE = re.compile(r"stage(\d+)_block(\d+)")
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def torchvision_names(model):
    """Map the names of torchvision's state dict to the variables of a network.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.

    Returns:
        Dict from name, for example `"layer1.0.conv1.weight"`, to `keras.Variable`. Torch's step
        counters (`num_batches_tracked`) have no counterpart.

    Example:

    >>> names = torchvision_names(keras_resnet.ResNet18())
    >>> names["fc.weight"].path
    'predictions/kernel'
    """
    names = {}
    for layer in model.layers:
        if layer.name == "stem":
            names |= _conv("conv1", layer.conv) | _norm("bn1", layer.norm)
        elif layer.name == "predictions":
            names |= {"fc.weight": layer.kernel, "fc.bias": layer.bias}
        elif match := _STAGE.fullmatch(layer.name):
            prefix = f"layer{int(match[1]) - 1}.{int(match[2]) - 1}"
            for i, (conv, norm) in enumerate(layer.units, start=1):
                names |= _conv(f"{prefix}.conv{i}", conv) | _norm(f"{prefix}.bn{i}", norm)
            if layer.shortcut is not None and layer.shortcut.weights:
                names |= _conv(f"{prefix}.downsample.0", layer.shortcut.conv)
                names |= _norm(f"{prefix}.downsample.1", layer.shortcut.norm)
    return names


def from_torch_layout(array):
    """Return a tensor of a torch state dict in Keras' layout.

    Args:
        array: convolution kernel `[out, in, h, w]`, matrix `[out, in]`, or vector.

    Returns:
        NumPy array: `[h, w, in, out]`, `[in, out]`, or the vector.
    """
    array = np.asarray(array)
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _conv(name, layer):
    return {f"{name}.weight": layer.kernel}


def _norm(name, layer):
    return {
        f"{name}.{torch}": getattr(layer, ours)
        for ours, torch in _NORM.items()
        if getattr(layer, ours, None) is not None
    }
