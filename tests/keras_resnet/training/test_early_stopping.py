"""Early stopping: where Keras' callback ends a run, and a resumed run where the whole one does."""

import types

import keras
import numpy as np
import pytest

from keras_resnet.training.early_stopping import EarlyStopping
from keras_resnet.training.loop import fit
from tests.keras_resnet.training.test_plateau import small_model

FIGURES = [0.1, 0.3, 0.2, 0.35, 0.3, 0.35, 0.34, 0.2, 0.5, 0.6]


def epochs_run(patience, figures, state=None, start=0):
    said = []
    callback = EarlyStopping("ap", patience, said.append)
    callback.set_model(types.SimpleNamespace(stop_training=False))
    if state is not None:
        callback.set_run_state(state)
    for epoch in range(start, len(figures)):
        value = figures[epoch]
        callback.on_epoch_end(epoch, {} if value is None else {"ap": value})
        if callback.model.stop_training:
            return epoch + 1, callback, said
    return len(figures), callback, said


@pytest.mark.parametrize("patience", [1, 2, 3, 4, 20])
def test_as_early_stopping_of_keras(patience):
    model = small_model()
    theirs = keras.callbacks.EarlyStopping("ap", patience=patience, mode="max")
    theirs.set_model(model)
    theirs.on_train_begin()
    model.stop_training = False
    expected = len(FIGURES)
    for epoch, figure in enumerate(FIGURES):
        theirs.on_epoch_end(epoch, {"ap": figure})
        if model.stop_training:
            expected = epoch + 1
            break
    assert epochs_run(patience, FIGURES)[0] == expected


def test_epochs_without_evaluation_and_nan():
    # Best in the second epoch; the sixth is the first evaluated one with four epochs since.
    figures = [None, 0.5, None, 0.4, None, float("nan"), None, 0.3, 0.2]
    ended, callback, said = epochs_run(4, figures)
    assert ended == 8 and callback.ended
    assert "best in epoch 2" in said[0]


def test_state_is_that_of_an_uninterrupted_run():
    for cut in range(1, 6):
        _, callback, _ = epochs_run(3, FIGURES[:cut])
        assert epochs_run(3, FIGURES, callback.get_run_state(), cut)[0] == 7


def test_refused():
    with pytest.raises(ValueError, match="Received: patience=0"):
        EarlyStopping("ap", 0)


class Batches:
    steps_per_epoch = 2

    def __call__(self, epoch, batch):
        import tensorflow as tf

        data = tf.data.Dataset.from_tensors(
            (np.ones((4, 2), "float32"), np.ones((4, 1), "float32"))
        )
        data = data.repeat()
        data.steps_per_epoch = self.steps_per_epoch
        return data


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="batches are of tf.data")
def test_a_run_ends_and_stays_ended(tmp_path):
    figures, seen = [0.2, 0.4, 0.3, 0.1, 0.9, 0.9], []

    def train(resume):
        def evaluate(epoch):
            seen.append(epoch)
            return {"ap": figures[epoch]}

        return fit(
            small_model(),
            Batches(),
            steps=12,
            folder=tmp_path,
            callbacks=[EarlyStopping("ap", 2, lambda line: None)],
            evaluate=evaluate,
            resume=resume,
            say=lambda line: None,
        )

    logs = train(resume=False)
    assert seen == [0, 1, 2, 3] and logs["ap"] == 0.1
    assert train(resume=True)["ap"] == 0.1
    assert seen == [0, 1, 2, 3]
