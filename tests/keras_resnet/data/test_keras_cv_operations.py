"""Operations against the layers of keras-cv, where both mean the same."""

import keras
import numpy as np
import pytest

from keras_resnet.data.colour import jitter_colour
from keras_resnet.data.operations import OPERATIONS, apply_operations
from tests.keras_resnet.data.helpers import smooth_image

if keras.backend.backend() != "tensorflow":
    pytest.skip("keras-cv needs TensorFlow", allow_module_level=True)

# Few levels and a small range, so that every operation has something to do.
IMAGE = (smooth_image((24, 28), seed=5) // 2 + 40).astype("uint8")


def ours(name, strength=0.0):
    return apply_operations(IMAGE, [list(OPERATIONS).index(name)], [strength]).astype("float32")


def theirs(layer):
    return np.asarray(layer(IMAGE.astype("float32")[None]))[0]


def test_solarize():
    import keras_cv

    layer = keras_cv.layers.Solarization((0, 255), threshold_factor=(100, 100))
    np.testing.assert_array_equal(ours("solarize", 100.0), theirs(layer))


@pytest.mark.parametrize("bits", [2, 4, 7])
def test_posterize(bits):
    import keras_cv

    layer = keras_cv.layers.Posterization((0, 255), bits=bits)
    np.testing.assert_array_equal(ours("posterize", bits), theirs(layer))


def test_auto_contrast_and_equalize():
    import keras_cv

    # keras-cv does not round.
    stretched = theirs(keras_cv.layers.AutoContrast((0, 255)))
    assert np.abs(ours("auto_contrast") - stretched).max() <= 1
    # Both make the histogram flat, and number the levels slightly differently.
    flat = theirs(keras_cv.layers.Equalization((0, 255)))
    assert np.abs(ours("equalize") - flat).max() <= 2


def test_grey():
    import keras_cv

    grey = theirs(keras_cv.layers.Grayscale(output_channels=3))
    assert np.abs(jitter_colour(IMAGE, (1, 1, 0, 0), range(4)) - grey).max() <= 1
    assert np.abs(ours("saturation", -1.0) - grey).max() <= 1
