"""Names of torchvision's and timm's state dicts for the weights of our networks."""

import os
import re

import keras
import numpy as np

from keras_resnet.shortcut_layers import AveragePoolShortcut, ProjectionShortcut
from keras_resnet.weights import files
from keras_resnet.weights.variant import architecture_of, variant_of

# Dense layers here, convolutions of one pixel in timm.
_SQUEEZED = re.compile(r"\.se\.fc\d\.weight$")
_STAGE = re.compile(r"stage(\d+)_block(\d+)")
# (convolution, norm); torchvision's, and timm's of three convolutions
_STEM = (("conv1", "bn1"),)
_DEEP_STEM = (("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1"))
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def torchvision_names(model: keras.Model) -> dict[str, keras.Variable]:
    """Map the names of torchvision's state dict to the variables of a network.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.

    Deep stems, average-pool shortcuts and squeeze-and-excitation have the names that timm gives
    them.

    Returns:
        Dict from name, for example `"layer1.0.conv1.weight"`, to `keras.Variable`. Torch's step
        counters (`num_batches_tracked`) have no counterpart.

    Raises:
        ValueError: if the network has weights that torchvision's have no name for.

    Example:

    >>> names = torchvision_names(keras_resnet.ResNet18())
    >>> names["fc.weight"].path
    'predictions/kernel'
    """
    names = {}
    for layer in model.layers:
        if layer.name == "stem":
            deep = len(layer.units) > 1
            for places, (conv, norm) in zip(_DEEP_STEM if deep else _STEM, layer.units):
                names |= _unit(*places, conv, norm)
        elif layer.name == "predictions":
            names |= {"fc.weight": layer.kernel, "fc.bias": layer.bias}
        elif match := _STAGE.fullmatch(layer.name):
            prefix = f"layer{int(match[1]) - 1}.{int(match[2]) - 1}"
            for i, (conv, norm) in enumerate(layer.units, start=1):
                names |= _unit(f"{prefix}.conv{i}", f"{prefix}.bn{i}", conv, norm)
            if layer.se is not None:
                names |= _dense(f"{prefix}.se.fc1", layer.se.reduce)
                names |= _dense(f"{prefix}.se.fc2", layer.se.expand)
            if isinstance(layer.shortcut, ProjectionShortcut):
                # timm counts the pooling.
                first = 1 if isinstance(layer.shortcut, AveragePoolShortcut) else 0
                for conv, norm in layer.shortcut.units:
                    place = f"{prefix}.downsample."
                    names |= _unit(f"{place}{first}", f"{place}{first + 1}", conv, norm)
    _check_complete(model, names)
    return names


def save_safetensors(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write a network's weights under torchvision's names, for PyTorch or for `load_weights`.

    The file also notes the network's arguments and the preprocessing, so that `load_weights`
    refuses a model that computes something else. In PyTorch:
    `torchvision.models.resnet50().load_state_dict(safetensors.torch.load_file(path))`.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.
        path: str, ending in `.safetensors`.

    Raises:
        ValueError: for another ending, or if the network has weights that torchvision's have no
            name for.

    Example:

    >>> model = keras_resnet.ResNet((1, 1), block="basic", width=8, classes=5)
    >>> keras_resnet.save_safetensors(model, "small.safetensors")
    >>> again = keras_resnet.load_weights(model, "small.safetensors")
    """
    path = os.fspath(path)
    if not path.endswith(".safetensors"):
        raise ValueError(f"The file must end in '.safetensors'. Received: path={path!r}")
    arrays = {
        name: to_torch_layout(name, variable) for name, variable in torchvision_names(model).items()
    }
    notes = {
        "variant": variant_of(model),
        "architecture": architecture_of(model),
        "preprocessing": model.get_layer("stem").preprocessing,
    }
    files.write_safetensors(path, arrays, notes)


def from_torch_layout(name, array):
    """Return a tensor of a torch state dict in Keras' layout.

    Args:
        name: str, its name there.
        array: convolution kernel `[out, in, h, w]`, matrix `[out, in]`, or vector.

    Returns:
        NumPy array: `[h, w, in, out]`, `[in, out]`, or the vector.
    """
    array = np.asarray(array)
    if _SQUEEZED.search(name) and array.ndim == 4:
        array = array[:, :, 0, 0]
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def to_torch_layout(name, variable):
    """Return a variable as a tensor of a torch state dict, the inverse of `from_torch_layout`."""
    array = np.asarray(variable)
    if _SQUEEZED.search(name):
        array = array[None, None]
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def _check_complete(model, names):
    """Refuse a network of which a weight has no name; layers of others' making do not count."""
    named = {id(variable) for variable in names.values()}
    unnamed = [
        variable.path
        for layer in model.layers
        if layer.name in ("stem", "predictions") or _STAGE.fullmatch(layer.name)
        for variable in layer.weights
        if id(variable) not in named and "seed_generator" not in variable.path
    ]
    if unnamed:
        raise ValueError(
            f"torchvision's networks have no counterpart of these weights of {model.name!r}; use "
            f"a .weights.h5 or .keras file: {', '.join(unnamed)}"
        )


def _unit(conv_name, norm_name, conv, norm):
    names = {f"{conv_name}.weight": conv.kernel}
    return names if norm is None else names | _norm(norm_name, norm)


def _dense(name, layer):
    return {f"{name}.weight": layer.kernel, f"{name}.bias": layer.bias}


def _norm(name, layer):
    return {
        f"{name}.{torch}": getattr(layer, ours)
        for ours, torch in _NORM.items()
        if getattr(layer, ours, None) is not None
    }
