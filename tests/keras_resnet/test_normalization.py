import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resnet.normalization import BatchNormalization, FrozenBatchNormalization, make_norm

SHAPE = (3, 5, 7, 6)


def make_inputs(dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant((3.0 + 2.0 * rng.standard_normal(SHAPE)).astype("float32"), dtype)


def fill(layer, shape=SHAPE, seed=1):
    """Build a norm and give it statistics, scale and offset that are not the initial ones."""
    layer.build(shape)
    rng = np.random.default_rng(seed)
    channels = layer.gamma.shape[0]
    layer.gamma.assign(rng.uniform(0.5, 1.5, channels))
    layer.beta.assign(rng.standard_normal(channels))
    layer.moving_mean.assign(rng.standard_normal(channels))
    layer.moving_variance.assign(rng.uniform(0.5, 1.5, channels))
    return layer


def numpy_norm(x, layer, mean, variance):
    gamma, beta = np.array(layer.gamma), np.array(layer.beta)
    return (x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta


# eager, a graph with unknown sizes, and XLA
def eager(function):
    return function


def graph(function):
    spec = tf.TensorSpec((None, None, None, SHAPE[-1]), "float32")
    return tf.function(function, input_signature=[spec])


def compiled(function):
    return tf.function(function, jit_compile=True)


@pytest.mark.parametrize("wrap", [eager, graph, compiled])
def test_training_normalizes_by_the_batch_and_updates_like_torch(wrap):
    layer = fill(BatchNormalization(momentum=0.9))
    x = make_inputs()
    old_mean, old_variance = np.array(layer.moving_mean), np.array(layer.moving_variance)
    outputs = wrap(lambda x: layer(x, training=True))(x)
    flat = x.numpy().reshape(-1, SHAPE[-1]).astype("float64")
    expected = numpy_norm(x.numpy(), layer, flat.mean(0), flat.var(0))
    np.testing.assert_allclose(outputs, expected, atol=2e-5)
    # torch documents: biased variance to normalize, unbiased variance in the running estimate.
    np.testing.assert_allclose(layer.moving_mean, 0.9 * old_mean + 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        layer.moving_variance, 0.9 * old_variance + 0.1 * flat.var(0, ddof=1), rtol=1e-5
    )


@pytest.mark.parametrize("wrap", [eager, graph, compiled])
@pytest.mark.parametrize("layer_class", [BatchNormalization, FrozenBatchNormalization])
def test_inference_normalizes_by_the_moving_statistics(wrap, layer_class):
    layer = fill(layer_class())
    x = make_inputs()
    before = [np.array(w) for w in layer.weights]
    outputs = wrap(lambda x: layer(x, training=False))(x)
    expected = numpy_norm(
        x.numpy(), layer, np.array(layer.moving_mean), np.array(layer.moving_variance)
    )
    np.testing.assert_allclose(outputs, expected, atol=2e-5)
    for old, new in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("axis", [-1, 1])
def test_outputs_and_gradients_equal_keras(training, axis):
    shape = SHAPE if axis == -1 else (3, 6, 5, 7)
    ours = fill(BatchNormalization(axis=axis), shape)
    theirs = fill(keras.layers.BatchNormalization(axis=axis, epsilon=1e-5), shape)
    x = tf.reshape(make_inputs(), shape)
    weight = tf.constant(np.random.default_rng(2).standard_normal(shape), "float32")
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=training)
            loss = tf.reduce_sum(outputs * weight)
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        results.append([outputs, *gradients])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype,tolerance", [("bfloat16", 2**-7), ("float16", 2**-9)])
@pytest.mark.parametrize("training", [True, False])
def test_sixteen_bits_in_and_out_with_float32_statistics(dtype, tolerance, training):
    layer = fill(BatchNormalization(dtype=f"mixed_{dtype}"))
    x = make_inputs(dtype)
    old = np.array(layer.moving_mean)
    outputs = layer(x, training=training)
    assert outputs.dtype == dtype
    assert {w.dtype for w in layer.weights} == {"float32"}
    exact = tf.cast(x, "float32").numpy()
    flat = exact.reshape(-1, SHAPE[-1])
    mean, variance = (flat.mean(0), flat.var(0)) if training else (old, layer.moving_variance)
    expected = numpy_norm(exact, layer, mean, np.array(variance))
    np.testing.assert_allclose(tf.cast(outputs, "float32"), expected, rtol=tolerance, atol=0.02)
    if training:
        np.testing.assert_allclose(layer.moving_mean, 0.9 * old + 0.1 * mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [FrozenBatchNormalization, BatchNormalization])
def test_frozen_means_inference_mode_whatever_training_says(make):
    layer = fill(make())
    if make is BatchNormalization:
        layer.trainable = False
    x = make_inputs()
    before = [np.array(w) for w in layer.weights]
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
    for old, new in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    assert layer.trainable_weights == []


def test_gradient_passes_through_the_frozen_form():
    layer = fill(FrozenBatchNormalization())
    x = make_inputs()
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x, training=True))
    factor = np.array(layer.gamma) / np.sqrt(np.array(layer.moving_variance) + layer.epsilon)
    np.testing.assert_allclose(
        tape.gradient(loss, x), np.broadcast_to(factor, SHAPE), rtol=1e-5, atol=1e-5
    )


def test_epsilon_is_exactly_what_was_asked_for():
    layer = FrozenBatchNormalization(epsilon=0.0)
    layer.build(SHAPE)
    layer.moving_variance.assign(np.full(6, 1e-6))
    x = np.full(SHAPE, 1e-3, "float32")
    np.testing.assert_allclose(layer(x), np.ones(SHAPE), rtol=1e-5)


def test_a_single_value_per_channel_stays_finite():
    layer = BatchNormalization()
    outputs = layer(np.full((1, 1, 1, 2), 5.0, "float32"), training=True)
    np.testing.assert_array_equal(outputs, np.zeros((1, 1, 1, 2)))
    assert np.all(np.isfinite(layer.moving_variance))


def test_group_norm_equals_numpy():
    layer = make_norm({"kind": "group", "groups": 3}, data_format="channels_last")
    x = make_inputs()
    grouped = x.numpy().reshape(3, 35, 3, 2)
    mean = grouped.mean(axis=(1, 3), keepdims=True)
    variance = grouped.var(axis=(1, 3), keepdims=True)
    expected = ((grouped - mean) / np.sqrt(variance + 1e-5)).reshape(SHAPE)
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)


@pytest.mark.parametrize("layer_class", [BatchNormalization, FrozenBatchNormalization])
def test_config_round_trip(layer_class):
    layer = layer_class(axis=1, epsilon=1e-3, gamma_initializer="zeros", name="n")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is layer_class
    assert again.get_config() == layer.get_config()
    again.build((None, 4, None, None))
    np.testing.assert_array_equal(again.gamma, np.zeros(4))


@pytest.mark.parametrize(
    "norm,match",
    [
        ("bacth", "Did you mean 'batch'.*Received: norm='bacth'"),
        ({"kind": "group", "group": 8}, "Did you mean 'groups'"),
        ({"groups": 8}, "Received: norm=None"),
    ],
)
def test_unknown_norms_are_refused(norm, match):
    with pytest.raises(ValueError, match=match):
        make_norm(norm)
