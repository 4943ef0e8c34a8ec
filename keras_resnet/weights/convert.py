"""Conversion of weights between files for Keras and files for PyTorch."""

import os

import numpy as np

from keras_resnet import cifar, models
from keras_resnet._arguments import choose
from keras_resnet.resnet import ResNet
from keras_resnet.shortcuts import of_earlier
from keras_resnet.untrusted import keras_file, safetensors_file
from keras_resnet.variants import CIFAR_NETWORKS, IMAGENET_NETWORKS
from keras_resnet.weights import files, hub
from keras_resnet.weights.infer import arguments_of
from keras_resnet.weights.load import load_weights
from keras_resnet.weights.registry import REGISTRY
from keras_resnet.weights.torchvision import from_torch_layout, save_safetensors


def convert(source, target, architecture=None, overwrite=False, **options):
    """Read weights from anywhere and write them as a file, which is read back and compared.

    Args:
        source: what `weights=` of `ResNet50` accepts, except `"imagenet"`.
        target: path ending in `.safetensors` (torchvision's names), `.weights.h5` or `.keras`.
        architecture: str, the function that creates the network, such as `"ResNet50"`; None to
            tell it from `source`, which a `.weights.h5` or `.h5` does not allow.
        overwrite: bool, replace an existing `target`.
        **options: further arguments for the network, such as `stride_in="1x1"`.

    Returns:
        The network.

    Raises:
        ValueError: if the weights do not fit, or `target` exists or has another ending.
        FileNotFoundError: if there is no `source`.
        OSError: if a download is needed and fails.

    Example:

    >>> from keras_resnet.weights.convert import convert
    >>> model = keras_resnet.ResNet((1, 1), block="basic", width=8, classes=5)
    >>> model.save("small.keras")
    >>> model = convert("small.keras", "small.safetensors")
    >>> model = convert("small.safetensors", "small.weights.h5")
    """
    source, target = os.fspath(source), os.fspath(target)
    if not target.endswith(files.SUFFIXES):
        raise ValueError(
            f"The target must end in one of {', '.join(files.SUFFIXES)}. Received: {target}"
        )
    if os.path.exists(target) and not overwrite:
        raise ValueError(f"{target} exists already; remove it, or allow to overwrite it.")
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder} to write to.")
    model = load_weights(_network(source, architecture, options), source)
    if target.endswith(".safetensors"):
        save_safetensors(model, target)
    elif target.endswith(".keras"):
        model.save(target)
    else:
        model.save_weights(target)
    _compare(model, target)
    return model


def _network(source, architecture, options):
    """Create the network that the weights of `source` are for."""
    if architecture is not None:
        return _factory(architecture)(**options)
    if source in REGISTRY:
        row = REGISTRY[source]
        stride = {} if row.stride_in == "3x3" else {"stride_in": row.stride_in}
        return _factory(row.architecture)(**{**stride, **options})
    if source.startswith("hf://"):
        source = hub.fetch(source.removeprefix("hf://"))
    files.refuse_pickle(source)
    if os.path.isfile(source):
        if source.endswith(".safetensors"):
            notes = files.read_notes(source)
            arguments = notes.get("architecture")
            arrays = safetensors_file.placeholders(source)
            if not arguments:
                shapes = {name: array.shape for name, array in arrays.items()}
                arguments = arguments_of(shapes, notes.get("variant", {}))
            ours = [from_torch_layout(name, array).shape for name, array in arrays.items()]
            _refuse_larger(arguments, ours, source)
            return ResNet(**{**of_earlier(arguments), **options})
        if source.endswith(".keras"):
            return _from_keras_file(source, options)
        if source.endswith((*files.SUFFIXES, ".h5")):
            raise ValueError(
                f"{source} does not say what network it is for; name the architecture, for "
                "example 'ResNet50'."
            )
    elif os.path.dirname(source) or source.endswith(files.SUFFIXES):
        raise FileNotFoundError(f"There is no weights file {source}")
    choose("source", source, tuple(REGISTRY))


def _factory(architecture):
    names = (*IMAGENET_NETWORKS, *CIFAR_NETWORKS)
    module = cifar if choose("architecture", architecture, names) in CIFAR_NETWORKS else models
    return getattr(module, architecture)


def _from_keras_file(path, options):
    """Rebuild a saved `ResNet` from its arguments, running nothing that the file names."""
    described = files.read_description(path)
    if described.get("registered_name") != "keras_resnet>ResNet":
        raise ValueError(
            f"{path} holds no ResNet of keras_resnet; name the architecture. Received: a "
            f"{described.get('registered_name') or described.get('class_name')}"
        )
    with keras_file.open_weights(path) as datasets:
        shapes = [dataset.shape or () for dataset in datasets.values()]
        _refuse_larger(described["config"], shapes, path)
    return ResNet.from_config({**described["config"], **options})


def _refuse_larger(config, shapes, source):
    """Refuse a description of a network that is larger than the weights stored with it."""
    described = {"class_name": "ResNet", "config": config}
    keras_file.check_size(lambda: ResNet.from_config(config), described, shapes, source)


def _compare(model, target):
    """Read the written file into another network and compare every weight."""
    again = load_weights(ResNet.from_config(model.get_config()), target)
    for ours, theirs in zip(model.weights, again.weights, strict=True):
        if not np.array_equal(ours, theirs):
            raise ValueError(f"{target} does not hold what was written: {ours.path} differs.")
