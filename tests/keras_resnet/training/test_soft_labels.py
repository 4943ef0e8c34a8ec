"""Losses of integer and mixed labels against NumPy and the losses of Keras."""

import keras
import numpy as np
import pytest

from keras_resnet.training.soft_labels import SoftLabelAccuracy, SoftLabelCrossentropy

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)).astype("float32") * 3
LABELS = np.array([0, 3, 1, 1, 2, 0])
SHARES = RNG.dirichlet(np.ones(4), 6).astype("float32")


def naive(shares, logits, smoothing):
    total = 0.0
    for t, z in zip(np.asarray(shares, "float64"), np.asarray(logits, "float64")):
        log_p = z - np.log(np.exp(z).sum())
        for share, value in zip(t, log_p):
            total -= (share * (1 - smoothing) + smoothing / len(t)) * value
    return total / len(shares)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32"])
def test_integer_labels(smoothing, shape, dtype):
    loss = SoftLabelCrossentropy(4, smoothing)(LABELS.reshape(shape).astype(dtype), LOGITS)
    assert float(loss) == pytest.approx(naive(np.eye(4)[LABELS], LOGITS, smoothing), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_shares(smoothing):
    own = float(SoftLabelCrossentropy(4, smoothing)(SHARES, LOGITS))
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    assert own == pytest.approx(float(theirs(SHARES, LOGITS)), rel=1e-5)
    assert own == pytest.approx(naive(SHARES, LOGITS, smoothing), rel=1e-5)


def test_without_smoothing_it_is_the_sparse_loss():
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, LOGITS)
    assert float(SoftLabelCrossentropy(4)(LABELS, LOGITS)) == pytest.approx(float(theirs), rel=1e-5)


def test_weights_of_images():
    weights = np.array([1, 0, 0, 2, 0, 0], "float32")
    own = float(SoftLabelCrossentropy(4)(LABELS, LOGITS, weights))
    rows = [naive(np.eye(4)[LABELS[i : i + 1]], LOGITS[i : i + 1], 0) for i in (0, 3)]
    assert own == pytest.approx((rows[0] + 2 * rows[1]) / 6, rel=1e-5)


def test_gradient_is_softmax_minus_target():
    """With one image; through the training step of Keras, where a bias alone is trained."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(4, kernel_initializer="zeros")(inputs))
    model.compile(keras.optimizers.SGD(1.0), loss=SoftLabelCrossentropy(4, 0.1))
    model.train_on_batch(np.zeros((1, 1)), SHARES[:1])
    target = SHARES[0] * 0.9 + 0.025
    np.testing.assert_allclose(model.get_weights()[1], target - 0.25, atol=1e-6)


def test_large_16_bit_logits_stay_finite():
    logits = np.array([[200.0, -200.0, 0.0, 1.0]], "float16")
    assert float(SoftLabelCrossentropy(4)(np.array([1]), logits)) == pytest.approx(400)
    # A class number above 256 has no exact 16-bit float.
    many = np.zeros((1, 3000), "float16")
    many[0, 2049] = 12
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        loss = float(SoftLabelCrossentropy(3000)(np.array([2049]), many))
    finally:
        keras.config.set_dtype_policy("float32")
    assert loss == pytest.approx(np.log(1 + 2999 * np.exp(-12)), rel=1e-4)


def test_accuracy():
    metric = SoftLabelAccuracy()
    metric.update_state(LABELS, LOGITS)
    metric.update_state(SHARES, LOGITS)
    top = LOGITS.argmax(1)
    right = [*(top == LABELS), *(top == SHARES.argmax(1))]
    assert float(metric.result()) == pytest.approx(np.mean(right))
    keras_own = keras.metrics.SparseCategoricalAccuracy()
    keras_own.update_state(LABELS, LOGITS)
    metric.reset_state()
    metric.update_state(LABELS, LOGITS)
    assert float(metric.result()) == pytest.approx(float(keras_own.result()))


@pytest.mark.parametrize("labels", [LABELS, SHARES])
def test_in_a_compiled_model(labels):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    model.compile(loss=SoftLabelCrossentropy(4, 0.1), metrics=[SoftLabelAccuracy(name="accuracy")])
    x = RNG.normal(size=(6, 3)).astype("float32")
    loss, accuracy = model.evaluate(x, labels, batch_size=3, verbose=0)
    logits = model.predict(x, verbose=0)
    shares = np.eye(4)[labels] if labels.ndim == 1 else labels
    assert loss == pytest.approx(naive(shares, logits, 0.1), rel=1e-5)
    assert accuracy == pytest.approx(np.mean(logits.argmax(1) == shares.argmax(1)))


def test_saved_and_loaded():
    loss = SoftLabelCrossentropy(4, 0.3)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(LABELS, LOGITS)) == float(loss(LABELS, LOGITS))
    metric = keras.metrics.deserialize(keras.metrics.serialize(SoftLabelAccuracy("share")))
    assert (type(metric), metric.name) == (SoftLabelAccuracy, "share")
