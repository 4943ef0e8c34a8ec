"""The examples in the docstrings run and print what they say, and every public name has one."""

import contextlib
import doctest
import importlib
import inspect
import os
import pkgutil

import keras
import numpy as np
import pytest

import keras_resnet

MODULES = [
    module.name.removeprefix("keras_resnet.")
    for module in pkgutil.walk_packages(keras_resnet.__path__, "keras_resnet.")
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path):
    # Examples that write files leave none behind.
    before = os.getcwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


def with_examples():
    """Return the modules that have examples, without running any."""
    found = []
    for name in MODULES:
        module = importlib.import_module(f"keras_resnet.{name}")
        if any(test.examples for test in doctest.DocTestFinder().find(module)):
            # Twenty networks of up to 1,202 layers.
            deep = [pytest.mark.slow] if name == "cifar" else []
            found.append(pytest.param(name, marks=deep))
    return found


@pytest.mark.parametrize("name", with_examples())
def test_examples(name):
    module = importlib.import_module(f"keras_resnet.{name}")
    names = {**vars(module), "np": np, "keras_resnet": keras_resnet}
    # Forty deep networks, built without memory for their weights: the shapes are the same.
    factories = name in ("models", "cifar")
    scope = keras.StatelessScope(initialize_variables=False)
    with scope if factories else contextlib.nullcontext():
        results = doctest.testmod(module, globs=names, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("name", keras_resnet.__all__)
def test_every_public_name_has_an_example(name):
    public = getattr(keras_resnet, name)
    assert name in dir(keras_resnet)
    doc = inspect.getdoc(public)
    assert doc and "." in doc
    if callable(public) and name != "WeightsInfo":
        assert ">>>" in doc
    if inspect.isfunction(public) and inspect.signature(public).parameters:
        assert "Args:" in doc
