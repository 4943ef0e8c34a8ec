"""A run that stops and continues gives the weights of one that does not stop."""

import keras
import numpy as np
import pytest

from keras_resnet.training.optimizer import SGD, AdamW
from keras_resnet.training.schedules import WarmupCosine
from keras_resnet.training.training_state import restore_training_state, save_training_state

RNG = np.random.default_rng(3)
X = RNG.normal(size=(16, 4)).astype("float32")
Y = RNG.normal(size=(16, 2)).astype("float32")


def make(optimizer=None, policy="float32", seed=0):
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu")])
        model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.Dropout(0.5, seed=11))
        model.add(keras.layers.Dense(2, dtype="float32"))
    finally:
        keras.config.set_dtype_policy("float32")
    schedule = WarmupCosine(0.1, 24, warmup_steps=5)
    model.compile(optimizer or SGD(schedule, weight_decay=1e-2, use_ema=True), "mse")
    return model


def fit(model, first, last):
    model.fit(X, Y, 4, initial_epoch=first, epochs=last, shuffle=False, verbose=0)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_resumed_run_equals_uninterrupted_run(tmp_path, policy):
    whole, half, resumed = (make(policy=policy, seed=s) for s in (0, 0, 9))
    # EMA puts its averages into the weights at the end of `fit`; both runs pause there.
    fit(whole, 0, 3)
    fit(whole, 3, 6)
    fit(half, 0, 3)
    more = {"metrics/0": np.arange(3.0)}
    save_training_state(tmp_path / "state", half, {"epoch": 3, "note": "ü"}, more)
    extra, arrays = restore_training_state(tmp_path / "state", resumed)
    assert extra == {"epoch": 3, "note": "ü"}
    np.testing.assert_array_equal(arrays["metrics/0"], [0, 1, 2])
    fit(resumed, 3, 6)
    for a, b in zip(whole.get_weights(), resumed.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert int(resumed.optimizer.iterations) == int(whole.optimizer.iterations)


def test_without_the_optimizer_state_it_would_not_be_equal():
    """The comparison above can fail: weights alone are not enough."""
    whole, resumed = make(), make(seed=9)
    fit(whole, 0, 3)
    resumed.set_weights(whole.get_weights())
    fit(whole, 3, 6)
    fit(resumed, 3, 6)
    assert np.abs(whole.get_weights()[0] - resumed.get_weights()[0]).max() > 1e-4


def test_misfits_change_nothing(tmp_path):
    model = make()
    fit(model, 0, 1)
    save_training_state(tmp_path / "state", model, {})

    def refused(other, message):
        before = other.get_weights()
        with pytest.raises(ValueError, match=message):
            restore_training_state(tmp_path / "state", other)
        for a, b in zip(before, other.get_weights()):
            np.testing.assert_array_equal(a, b)

    refused(make(AdamW(0.1), seed=1), "optimizer keras_resnet>SGD.*keras_resnet>AdamW")
    refused(make(SGD(0.1, momentum=0.0), seed=1), "not in the model: 0")
    frozen = make(seed=1)
    frozen.layers[0].trainable = False
    frozen.compile(SGD(0.1), "mse")
    refused(frozen, "dense/bias, dense/kernel.*Freeze the same layers")


def test_uncompiled_model_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8)])
    with pytest.raises(ValueError, match="must be compiled"):
        save_training_state(tmp_path / "state", model, {})
