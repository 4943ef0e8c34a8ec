import keras
import numpy as np
import pytest
from keras import ops

from detection import losses


def test_binary_cross_entropy_is_the_textbook_formula_and_survives_extremes():
    logits = np.array([-3.0, -0.2, 0.0, 1.5, 4.0], "float32")
    targets = np.array([0, 1, 1, 0, 1], "float32")
    probability = 1 / (1 + np.exp(-logits.astype("float64")))
    expected = -(targets * np.log(probability) + (1 - targets) * np.log(1 - probability))
    found = ops.convert_to_numpy(losses.binary_cross_entropy(logits, targets))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    extreme = losses.binary_cross_entropy(np.array([1e4, -1e4, 1e4]), np.array([1, 0, 0]))
    np.testing.assert_allclose(ops.convert_to_numpy(extreme), [0, 0, 1e4])


def test_softmax_cross_entropy_equals_keras():
    rng = np.random.default_rng(0)
    logits = 5 * rng.standard_normal((4, 7, 6)).astype("float32")
    labels = rng.integers(0, 6, (4, 7))
    expected = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    found = losses.softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), ops.convert_to_numpy(expected), rtol=1e-5
    )


@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0])
def test_smooth_l1_element_by_element(beta):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 5, 4))
    expected = np.zeros(5)
    for row in range(5):
        for column in range(4):
            d = abs(a[row, column] - b[row, column])
            expected[row] += 0.5 * d * d / beta if d < beta else d - 0.5 * beta
    found = ops.convert_to_numpy(losses.smooth_l1(a, b, beta))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_smooth_l1_refuses_a_negative_beta():
    with pytest.raises(ValueError, match="beta=-1"):
        losses.smooth_l1(np.zeros((1, 4)), np.zeros((1, 4)), beta=-1)


def test_losses_of_16_bit_inputs_are_float32():
    half = ops.cast(np.array([[1.0, 2.0]]), "bfloat16")
    assert keras.backend.standardize_dtype(losses.smooth_l1(half, half).dtype) == "float32"
    found = losses.softmax_cross_entropy(half, np.array([1]))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
