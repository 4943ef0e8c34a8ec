"""Agreement with torchvision: names, logits and feature maps of all five depths."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from tests.rule_weights import rule_state

DATA = Path(__file__).parents[1] / "data"
NAMES = json.loads((DATA / "torchvision_resnet_names.json").read_text())
TOLERANCE = 1e-4


def assert_close(ours, golden):
    assert np.max(np.abs(ours - golden)) <= TOLERANCE * np.max(np.abs(golden))


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_logits_and_features_equal_torchvision(depth, tmp_path):
    golden = np.load(DATA / "torchvision_resnet.npz")
    shapes = NAMES[f"resnet{depth}"]
    small = ("bn2.weight",) if depth < 50 else ("bn3.weight",)
    state = rule_state(shapes, small)
    state["bn1.num_batches_tracked"] = np.array(7)  # as torch writes it; has no counterpart
    file = str(tmp_path / "weights.safetensors")
    safetensors.numpy.save_file(state, file)

    factory = getattr(keras_resnet, f"ResNet{depth}")
    model = factory(weights=file, classifier_activation=None, input_shape=(None, None, 3))
    assert set(keras_resnet.torchvision_names(model)) == set(shapes)

    features = keras_resnet.feature_extractor(model)
    outputs = {**features.output, "logits": model.output}
    results = keras.Model(model.input, outputs).predict_on_batch(golden["x_nhwc"])
    assert_close(results["logits"], golden[f"resnet{depth}_logits"])
    for name in ("C2", "C3", "C4", "C5"):
        feature = results[name]
        assert feature.shape == tuple(golden[f"resnet{depth}_{name}_shape"])
        assert_close(feature.mean(axis=(0, 1, 2))[:64], golden[f"resnet{depth}_{name}_mean"])
        assert_close(feature[:, 0, 0, :16], golden[f"resnet{depth}_{name}_corner"])
