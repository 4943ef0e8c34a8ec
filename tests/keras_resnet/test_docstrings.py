"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import numpy as np
import pytest

import keras_resnet

MODULES = [
    "blocks",
    "convolution",
    "features",
    "models",
    "normalization",
    "preprocessing",
    "resnet",
    "shortcuts",
    "stem",
    "weights.convert",
    "weights.infer",
    "weights.load",
    "weights.registry",
    "weights.torchvision",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    module = importlib.import_module(f"keras_resnet.{name}")
    names = {**vars(module), "np": np, "keras_resnet": keras_resnet}
    results = doctest.testmod(module, globs=names, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0
