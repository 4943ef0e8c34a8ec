import numpy as np
import pytest

import keras_resnet


def test_equals_the_formula():
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 8)).astype("float32")
    layer = keras_resnet.SqueezeExcitation(4, data_format="channels_last")
    outputs = layer(x)
    assert layer.reduce.kernel.shape == (8, 2)
    hidden = np.maximum(x.mean((1, 2)) @ np.array(layer.reduce.kernel), 0)
    scale = 1 / (1 + np.exp(-hidden @ np.array(layer.expand.kernel)))
    np.testing.assert_allclose(outputs, x * scale[:, None, None], rtol=1e-4, atol=1e-6)
    first = keras_resnet.SqueezeExcitation(4, data_format="channels_first")
    first.build((2, 8, 5, 4))
    first.set_weights(layer.get_weights())
    outputs = np.array(first(x.transpose(0, 3, 1, 2))).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(outputs, x * scale[:, None, None], rtol=1e-4, atol=1e-6)


def test_the_branch_is_scaled_before_the_addition():
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 8)).astype("float32")
    block = keras_resnet.BasicBlock(8, squeeze_excitation=2, zero_init_residual=False)
    with_gates = np.array(block(x))
    block.se.expand.bias.assign(np.full(8, -100.0))
    np.testing.assert_allclose(block(x), np.maximum(x, 0), atol=1e-6)
    assert np.abs(with_gates - np.maximum(x, 0)).max() > 0.1


def test_a_mean_of_many_float16_numbers_does_not_overflow():
    layer = keras_resnet.SqueezeExcitation(1, dtype="mixed_float16")
    outputs = np.array(layer(np.full((1, 64, 64, 4), 100.0, "float16")))
    assert np.isfinite(outputs).all() and outputs.dtype == np.float16


@pytest.mark.parametrize("ratio", [0, 0.5])
def test_bad_ratios_are_refused(ratio):
    with pytest.raises(ValueError, match=f"Received: ratio={ratio}"):
        keras_resnet.SqueezeExcitation(ratio)
