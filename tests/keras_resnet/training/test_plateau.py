"""Drops of the learning rate on plateaus: where a hand-made list of errors says, and resumed."""

import keras
import numpy as np
import pytest

from keras_resnet.training.plateau import Plateau

# Errors of nine epochs; with a patience of 2, drops after the 5th and the 9th.
ERRORS = [0.9, 0.8, 0.7, 0.75, 0.7, 0.69, 0.68, 0.685, 0.68]
RATES = [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01]


def small_model(policy="float32"):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1, dtype=policy)(inputs))
    optimizer = keras.optimizers.SGD(1.0)
    if policy == "mixed_float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    model.compile(optimizer, "mse")
    return model


def rates_of(plateau, model, errors):
    plateau.set_model(model)
    found = []
    for epoch, error in enumerate(errors):
        plateau.on_epoch_end(epoch, {} if error is None else {"val_error": error})
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        found.append(float(optimizer.learning_rate))
    return found


def quiet(**arguments):
    return Plateau("val_error", **{"patience": 2, "say": lambda line: None, **arguments})


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_drops(policy):
    said = []
    found = rates_of(quiet(say=said.append), small_model(policy), ERRORS)
    assert found == pytest.approx(RATES)
    assert [line.rsplit(" ", 1)[1] for line in said] == ["0.1", "0.01"]


def test_as_reduce_lr_on_plateau_of_keras():
    rng = np.random.default_rng(3)
    errors = (0.5 * 0.9 ** np.arange(40) + 0.2 * rng.random(40)).tolist()
    model = small_model()
    theirs = keras.callbacks.ReduceLROnPlateau("val_error", 0.1, 3, mode="min", min_delta=0)
    theirs.set_model(model)
    theirs.on_train_begin()
    expected = []
    for epoch, error in enumerate(errors):
        theirs.on_epoch_end(epoch, {"val_error": error})
        expected.append(float(model.optimizer.learning_rate))
    assert len(set(expected)) >= 4
    assert rates_of(quiet(patience=3), small_model(), errors) == pytest.approx(expected, rel=1e-5)


def test_epochs_without_evaluation_do_not_count():
    spread = [e for error in ERRORS for e in (None, error)]
    expected = [1, *(rate for rate in RATES for _ in range(2))][: len(spread)]
    assert rates_of(quiet(), small_model(), spread) == pytest.approx(expected)


def test_broken_error_is_no_improvement():
    found = rates_of(quiet(), small_model(), [0.5, float("nan"), float("inf"), 0.4])
    assert found == pytest.approx([1, 1, 0.1, 0.1])


@pytest.mark.parametrize("stop", range(len(ERRORS) + 1))
def test_state(stop):
    """A second callback that takes over the state drops where one alone does."""
    model = small_model()
    first = quiet()
    before = rates_of(first, model, ERRORS[:stop])
    second = quiet()
    second.set_run_state(first.get_run_state())
    assert [*before, *rates_of(second, model, ERRORS[stop:])] == pytest.approx(RATES)


def test_a_drop_acts_on_the_next_epoch_of_fit():
    """On weights: without momentum, each epoch of one step moves by rate times gradient."""

    class Errors(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["val_error"] = 1.0

    moves = []

    class Moves(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.before = np.array(self.model.get_weights()[1])

        def on_epoch_end(self, epoch, logs=None):
            moves.append(float(np.abs(self.model.get_weights()[1] - self.before).max()))

    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    # The mean output: its gradient by the bias is one, everywhere.
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, p: p)
    x, y = np.zeros((4, 2)), np.zeros((4, 1))
    callbacks = [Errors(), quiet(patience=1), Moves()]
    model.fit(x, y, batch_size=4, epochs=4, verbose=0, callbacks=callbacks)
    np.testing.assert_allclose(moves, [1, 1, 0.1, 0.01], rtol=1e-4)


@pytest.mark.parametrize("wrong", [{"factor": 1.0}, {"factor": 0}, {"patience": 0}])
def test_refusals(wrong):
    with pytest.raises(ValueError, match="Received: factor="):
        Plateau("val_error", **wrong)
