"""Which classes of Keras a `.keras` file may name: none that is made of a path or of code."""

import importlib
import inspect
import re

import keras
import pytest
from keras.src.saving.keras_saveable import KerasSaveable

from keras_resnet.untrusted import keras_file

# Arguments' names that say so, and classes of which they do not mean it.
TELLING = re.compile(r"file|path|vocabulary|url|function$|_fn$|^fn$|endpoint|^module$|directory")
HARMLESS = {
    "MeanMetricWrapper": "the function is one of Keras, by its name",
    "SumOverBatchSizeMetricWrapper": "likewise",
    "LossFunctionWrapper": "likewise",
}


def classes():
    for module in sorted(keras_file._MODULES):
        for name, value in vars(importlib.import_module(module)).items():
            if inspect.isclass(value) and issubclass(value, KerasSaveable):
                yield name, value


def test_what_takes_paths_or_code_is_refused():
    found = {
        name
        for name, value in classes()
        if any(map(TELLING.search, inspect.signature(value.__init__).parameters))
    }
    assert {"StringLookup", "TFSMLayer", "Lambda", "JaxLayer"} <= found
    assert found <= set(keras_file._CODE) | set(HARMLESS)


def test_bases_and_heirs_of_the_refused_are_refused():
    refused = [value for name, value in classes() if name in keras_file._CODE]
    assert len(refused) >= 8
    for name, value in classes():
        assert name in keras_file._CODE or not issubclass(value, tuple(refused))


def described(**node):
    return {"config": {}, "module": None, "registered_name": None, **node}


@pytest.mark.parametrize(
    ("name", "module", "registered"),
    [
        ("Dense", "keras.layers", None),
        ("ResNet", "keras_resnet.resnet", "keras_resnet>ResNet"),
        ("Mine", "my_package.layers", "mine>Mine"),
        ("__tuple__", None, None),
    ],
)
def test_honest_classes_pass(name, module, registered):
    @keras.saving.register_keras_serializable(package="mine", name="Mine")
    class Mine(keras.layers.Layer):
        pass

    node = described(class_name=name, module=module, registered_name=registered)
    keras_file._check_class(node, True, "a file")


@pytest.mark.parametrize("module", ["keras_cv.layers", "keras_hub.layers", "keras_nlp", "os"])
@pytest.mark.parametrize(
    "registered", [None, "x", "keras_resnet>x", "detection>ResNet", "keras_cv>ResNet"]
)
def test_what_keras_would_import_is_refused(module, registered):
    node = described(class_name="ResNet", module=module, registered_name=registered)
    for made in (False, True):
        with pytest.raises(ValueError, match="nor of this library"):
            keras_file._check_class(node, made, "a file")


def test_a_name_of_ours_alone_is_not_enough():
    """Keras can make only what was imported; weights are read of what was not, too."""
    node = described(
        class_name="Later", module="keras_resnet.later", registered_name="keras_resnet>Later"
    )
    keras_file._check_class(node, False, "a file")
    with pytest.raises(ValueError, match="nor of this library"):
        keras_file._check_class(node, True, "a file")


def test_escapes_in_names_are_shown():
    with pytest.raises(ValueError) as caught:
        keras_file._check_class(described(class_name="a\x1b]0;x\x07"), True, "a file")
    assert str(caught.value).isprintable()
