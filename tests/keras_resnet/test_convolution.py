import keras
import numpy as np
import pytest
from keras import ops

from keras_resnet.convolution import PaddedConv2D


@pytest.mark.parametrize("size", [(5, 24, 16), (3, 16, 16), (2, 7, 9)])
def test_strided_pointwise_convolution_and_a_step_of_training(size):
    """TensorFlow's own gradient of it crashes the process for some of these shapes."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((*size, 8)).astype("float32")
    model = keras.Sequential([keras.Input((None, None, 8)), PaddedConv2D(16, 1, strides=2)])
    (kernel,) = model.get_weights()
    expected = images[:, ::2, ::2] @ kernel[0, 0]
    found = ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert model.layers[0].compute_output_shape(images.shape) == found.shape

    target = np.zeros_like(expected)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.train_on_batch(images, target)
    gradient = np.einsum("bhwc,bhwd->cd", images[:, ::2, ::2], 2 * expected / expected.size)
    np.testing.assert_allclose(
        model.get_weights()[0][0, 0], kernel[0, 0] - 0.1 * gradient, atol=1e-5
    )


@pytest.mark.parametrize("size", [(3, 16, 16), (2, 7, 9)])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradient_of_the_input_of_a_strided_pointwise_convolution(size, jit_compile):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    images = tf.constant(rng.standard_normal((*size, 8)), "float32")
    layer = PaddedConv2D(16, 1, strides=2)
    layer.build(images.shape)

    @tf.function(jit_compile=jit_compile)
    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images)
            loss = tf.reduce_sum(outputs * outputs)
        return tape.gradient(loss, images)

    kernel = np.asarray(layer.kernel)[0, 0]
    expected = np.zeros(images.shape, "float32")
    expected[:, ::2, ::2] = 2 * (images.numpy()[:, ::2, ::2] @ kernel) @ kernel.T
    np.testing.assert_allclose(gradient(images), expected, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's gradient")
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(("channels", "filters"), [(8, 24), (24, 8)])
def test_gradients_of_16_bit_pointwise_convolutions(channels, filters, strides, jit_compile):
    """Against products in float64 of what 16 bits hold of images, kernel and gradient."""
    import tensorflow as tf

    rng = np.random.default_rng(1)
    layer = PaddedConv2D(filters, 1, strides=strides, dtype="mixed_bfloat16")
    images = tf.cast(rng.standard_normal((3, 9, 7, channels)), tf.bfloat16)
    upstream = tf.cast(
        rng.standard_normal((3, -(-9 // strides), -(-7 // strides), filters)), tf.bfloat16
    )
    layer.build(images.shape)
    (kernel,) = (
        tf.cast(w, tf.bfloat16).numpy().astype("float64")[0, 0] for w in layer.get_weights()
    )

    @tf.function(
        jit_compile=jit_compile,
        input_signature=[tf.TensorSpec([None, None, None, channels], tf.bfloat16)],
    )
    def gradients(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images)
        variables = [images, layer.kernel.value]
        return outputs, *tape.gradient(outputs, variables, output_gradients=upstream)

    outputs, of_images, of_kernel = gradients(images)
    assert (outputs.dtype, of_images.dtype, of_kernel.dtype) == (
        tf.bfloat16,
        tf.bfloat16,
        tf.float32,
    )
    shown, given = (x.numpy().astype("float64") for x in (images, upstream))
    taken = shown[:, ::strides, ::strides]
    expected = np.zeros_like(shown)
    expected[:, ::strides, ::strides] = given @ kernel.T
    for found, exact in (
        (outputs, taken @ kernel),
        (of_images, expected),
        (of_kernel, np.einsum("bhwc,bhwd->cd", taken, given)[None, None]),
    ):
        error = np.abs(tf.cast(found, tf.float64).numpy() - exact)
        assert error.max() <= 2**-8 * np.abs(exact).max()
