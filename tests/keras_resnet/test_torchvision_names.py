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


# Names and shapes in timm's checkpoints of resnet50d and seresnet50.
RESNET50D = {
    "conv1.0.weight": (32, 3, 3, 3),
    "conv1.1.running_var": (32,),
    "conv1.3.weight": (32, 32, 3, 3),
    "conv1.4.bias": (32,),
    "conv1.6.weight": (64, 32, 3, 3),
    "bn1.weight": (64,),
    "layer1.0.downsample.1.weight": (256, 64, 1, 1),
    "layer2.0.downsample.1.weight": (512, 256, 1, 1),
    "layer2.0.downsample.2.running_mean": (512,),
    "layer4.2.conv3.weight": (2048, 512, 1, 1),
}
SERESNET50 = {
    "conv1.weight": (64, 3, 7, 7),
    "layer1.0.se.fc1.weight": (16, 256, 1, 1),
    "layer1.0.se.fc1.bias": (16,),
    "layer4.2.se.fc2.weight": (2048, 128, 1, 1),
    "layer4.2.se.fc2.bias": (2048,),
    "layer2.0.downsample.0.weight": (512, 256, 1, 1),
}


@pytest.mark.parametrize("name,some", [("ResNet50D", RESNET50D), ("SEResNet50", SERESNET50)])
def test_names_of_timm(name, some, tmp_path):
    path = str(tmp_path / "w.safetensors")
    factory = getattr(keras_resnet, name)
    saved = factory(zero_init_residual=False)
    keras_resnet.save_safetensors(saved, path)
    state = safetensors.numpy.load_file(path)
    assert {key: state[key].shape for key in some} == some
    model = factory(weights=path)
    for ours, theirs in zip(model.weights, saved.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
