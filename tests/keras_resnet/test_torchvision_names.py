"""Writing under torchvision's names; reading is in test_torchvision_golden."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import keras_resnet

NAMES = json.loads(
    (Path(__file__).parents[1] / "data" / "torchvision_resnet_names.json").read_text()
)


def small(**arguments):
    defaults = {"stage_blocks": (1, 2), "width": 8, "classes": 5, "zero_init_residual": False}
    return keras_resnet.ResNet(**{**defaults, **arguments})


@pytest.mark.parametrize("depth", [18, 50])
def test_files_have_torchvisions_names_and_shapes(depth, tmp_path):
    path = str(tmp_path / "w.safetensors")
    model = getattr(keras_resnet, f"ResNet{depth}")()
    keras_resnet.save_safetensors(model, path)
    state = safetensors.numpy.load_file(path)
    assert {k: list(v.shape) for k, v in state.items()} == NAMES[f"resnet{depth}"]
    kernel = np.array(model.get_layer("stem").conv.kernel)
    assert state["conv1.weight"][3, 2, 1, 0] == kernel[1, 0, 2, 3]
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata()["format"] == "pt"


def test_round_trip_keeps_weights_variant_and_preprocessing(tmp_path):
    path = str(tmp_path / "w.safetensors")
    saved = small(stride_in="1x1")
    saved.preprocessing = "caffe"
    keras_resnet.save_safetensors(saved, path)
    model = keras_resnet.load_weights(small(stride_in="1x1"), path)
    for ours, theirs in zip(model.weights, saved.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.preprocessing == "caffe"
    with pytest.raises(ValueError, match="stride_in='1x1', the model has stride_in='3x3'"):
        keras_resnet.load_weights(small(), path)


def test_all_problems_are_one_error(tmp_path):
    path = str(tmp_path / "w.safetensors")
    keras_resnet.save_safetensors(small(stride_in="1x1", stage_blocks=(2, 1), classes=4), path)
    with pytest.raises(ValueError) as error:
        keras_resnet.load_weights(small(), path)
    for line in (
        "variant: the weights were made with stride_in='1x1'",
        "missing: layer2.1.conv1.weight",
        "unexpected: layer1.1.conv1.weight",
    ):
        assert line in str(error.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in '\.safetensors'"):
        keras_resnet.save_safetensors(small(), tmp_path / "w.pth")
