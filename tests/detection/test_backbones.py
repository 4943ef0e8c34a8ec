"""The pixels that a backbone's weights were trained with."""

import numpy as np
import pytest

import detection
import keras_resnet
from detection.backbones import fit_pixels
from detection.config import ModelConfig
from tests.detection.small_model import CATEGORIES


def network(style):
    net = keras_resnet.ResNet((1, 1), block="basic", width=8, include_top=False)
    net.preprocessing = style
    return net


@pytest.mark.parametrize(
    "style, mean, std",
    [
        ("torch", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ("tf", (127.5,) * 3, (127.5,) * 3),
        ("caffe", (123.68, 116.779, 103.939), (1, 1, 1)),
    ],
)
def test_weights_see_what_they_were_trained_on(style, mean, std):
    net = network(style)
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    expected = np.asarray(net(keras_resnet.preprocess_input_for(net)(images)))
    fit_pixels(net.get_layer("stem"), mean, std)
    found = np.asarray(net((images - np.array(mean)) / np.array(std)))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.max())
    with pytest.raises(ValueError, match=r"`model\.pixel_mean` to \[1"):
        fit_pixels(network(style).get_layer("stem"), (0, 0, 0), std)


def test_unknown_pixels_are_left_to_the_configuration():
    stem = network(None).get_layer("stem")
    kernel = np.array(stem.conv.kernel)
    fit_pixels(stem, (1, 2, 3), (4, 5, 6))
    np.testing.assert_array_equal(stem.conv.kernel, kernel)


def test_building_a_detector_checks_the_pixels(tmp_path):
    source = keras_resnet.ResNet18(include_top=False)
    source.preprocessing = "tf"
    source.save(tmp_path / "weights.keras")
    options = {
        "backbone": {"depth": 18, "weights": str(tmp_path / "weights.keras")},
        "fpn_filters": 8,
        "roi_heads": {"hidden": [8]},
    }
    with pytest.raises(ValueError, match=r"\[127\.5, 127\.5, 127\.5\]"):
        detection.build_model(ModelConfig(**options), CATEGORIES)
    grey = (127.5, 127.5, 127.5)
    config = ModelConfig(**options, pixel_mean=grey, pixel_std=grey)
    model = detection.build_model(config, CATEGORIES)
    np.testing.assert_array_equal(
        model.backbone.get_layer("stem").conv.kernel, source.get_layer("stem").conv.kernel
    )
