"""The public functions say which types they take and return."""

import inspect

import keras
import pytest

import detection
import keras_resnet
from tests.test_structure import ROOT


def public_functions():
    for package in (keras_resnet, detection):
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isfunction(value):
                yield f"{package.__name__}.{name}", value
    yield "keras_resnet.ResNet", keras_resnet.ResNet.__init__
    for name in ("detect", "from_pretrained"):
        yield f"detection.FasterRCNN.{name}", getattr(detection.FasterRCNN, name)
    for name in ("to_dict", "to_dataframe", "to_supervision", "draw"):
        yield f"detection.Detections.{name}", getattr(detection.Detections, name)


FUNCTIONS = dict(public_functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_and_result_have_types(name):
    signature = inspect.signature(FUNCTIONS[name])
    arguments = [p for p in signature.parameters.values() if p.name != "self"]
    assert [p.name for p in arguments if p.annotation is p.empty] == []
    assert signature.return_annotation is not signature.empty


def test_what_was_looked_at():
    assert {"keras_resnet.ResNet50", "keras_resnet.load_weights", "detection.load"} <= set(
        FUNCTIONS
    )
    signature = inspect.signature(detection.load)
    assert signature.return_annotation is detection.FasterRCNN
    assert inspect.signature(keras_resnet.ResNet50).return_annotation is keras.Model


@pytest.mark.parametrize("package", ["keras_resnet", "detection"])
def test_checkers_are_told_that_there_are_types(package):
    assert (ROOT / package / "py.typed").read_bytes() == b""


def test_names_that_are_imported_at_their_first_use_are_told_to_checkers():
    text = (ROOT / "detection" / "__init__.py").read_text(encoding="utf-8")
    for name, module in detection._HOME.items():
        assert f"    from {module} import {name} as {name}\n" in text
