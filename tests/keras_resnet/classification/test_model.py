"""A classifier of images as they are: normalisation, sizes, saving and loading."""

import json

import keras
import numpy as np
import pytest

from keras_resnet.classification.build import make_model
from keras_resnet.classification.config import load_classifier_config
from keras_resnet.classification.model import (
    Normalize,
    build_classifier,
    load_classifier,
    save_classifier,
)
from keras_resnet.data.arrays import from_arrays

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 32, 32, 3), "uint8")
OPTIONS = {"stage_blocks": (1, 1), "width": 4, "shortcut": "zero_pad"}


def build(**arguments):
    defaults = {"image_size": (32, 32), "mean_shape": (32, 32, 3), "evaluation": {"crop": 32}}
    model = build_classifier("CifarResNet20", OPTIONS, "abc", **{**defaults, **arguments})
    mean = RNG.uniform(90, 130, model.get_layer("normalize").shape)
    model.get_layer("normalize").set_values(mean, (60, 50, 40))
    return model


@pytest.mark.parametrize("shape", [(3,), (32, 32, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_normalize(shape, dtype):
    mean, std = RNG.uniform(90, 130, shape), np.array((60, 50, 40))
    layer = Normalize(shape)
    layer.set_values(mean, std)
    found = layer(IMAGES.astype(dtype))
    np.testing.assert_allclose(found, (IMAGES - mean) / std, rtol=1e-5, atol=1e-6)


def test_16_bits_come_after_the_mean():
    """Values near the mean keep their digits, which 255 as a 16-bit float would not have."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    layer = model.get_layer("normalize")
    layer.set_values(200, 1)
    inner = keras.Model(model.inputs[0], layer.output)
    inner.autocast = False
    found = inner(np.full((1, 32, 32, 3), 201, "uint8"))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert float(keras.ops.max(found)) == float(keras.ops.min(found)) == 1.0
    logits = model(IMAGES)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


@pytest.mark.parametrize("arguments", [{}, {"image_size": None, "mean_shape": (3,)}])
def test_saved_and_loaded(tmp_path, arguments):
    model = build(**arguments)
    save_classifier(model, tmp_path / "run" / "weights" / "best")
    expected = model.predict(IMAGES, verbose=0)
    for place in ("run", "run/weights", "run/weights/best"):
        again = load_classifier(tmp_path / place)
        np.testing.assert_array_equal(again.predict(IMAGES, verbose=0), expected)
        assert again.class_names == ("a", "b", "c")
        assert again.input_shape == model.input_shape
        # Normalised by the tuples that JSON made lists of, the description is the same.
        assert json.dumps(again.description) == json.dumps(model.description)


def test_nothing_to_load(tmp_path):
    with pytest.raises(ValueError, match=r"No saved classifier at .*Tried:"):
        load_classifier(tmp_path)
    model = build()
    model.description["version"] = 99
    save_classifier(model, tmp_path / "a")
    with pytest.raises(ValueError, match="describes no valid classifier"):
        load_classifier(tmp_path / "a")
    with pytest.raises(ValueError, match="no network of this name"):
        build_classifier("load_weights2", {}, "ab")


def configured(images, *overrides):
    settings = ["data.format=npz", "data.root=x", "model.options.stage_blocks=[1,1]"]
    config = load_classifier_config("cifar10_resnet20", [*settings, *overrides])
    data = from_arrays(images, np.arange(len(images)))
    return config, data


def test_sizes_of_configured_models():
    mean_image, mean, std = IMAGES.mean(axis=0), np.zeros(3), np.ones(3)
    config, data = configured(IMAGES)
    assert make_model(config, data, mean_image, std).input_shape == (None, 32, 32, 3)
    larger, data = configured(np.zeros((3, 40, 36, 3), "uint8"))
    # Larger images are cropped to `image_size`.
    assert make_model(larger, data, mean, std).input_shape == (None, 32, 32, 3)
    with pytest.raises(ValueError, match=r"per_pixel.*images of 36 x 40, image_size=32"):
        make_model(larger, data, data.images.mean(axis=0), std)
    resized, data = configured(IMAGES, "data.pipeline.crop=random_resized", "data.mean=channel")
    assert make_model(resized, data, mean, std).input_shape == (None, None, None, 3)
