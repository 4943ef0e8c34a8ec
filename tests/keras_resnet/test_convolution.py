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
