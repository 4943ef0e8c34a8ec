"""The examples of the analyses run and print what they say."""

import doctest
import importlib

import numpy as np
import pytest

import keras_resnet

MODULES = [
    "backends",
    "blocks",
    "cam",
    "counting",
    "gradients",
    "intercept",
    "lesions",
    "pruning",
    "responses",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"keras_resnet.analysis.{name}")
    names = {**vars(module), "np": np, "keras_resnet": keras_resnet}
    results = doctest.testmod(module, globs=names, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0


def test_every_public_function_has_an_example():
    for name in keras_resnet.analysis.__all__:
        public = getattr(keras_resnet.analysis, name)
        if not isinstance(public, type):
            assert ">>>" in public.__doc__, name
