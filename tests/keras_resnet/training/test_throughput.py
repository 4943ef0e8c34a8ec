"""Images per second, and the share of the time that training waits for its data."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_resnet.training.input_wait import InputWait
from keras_resnet.training.throughput import Throughput

X = np.ones((4, 3), "float32")
SLEEP = 0.05

PROGRAM = """
import os, sys, time
import keras, numpy as np
from keras_resnet.training.loop import fit
from keras_resnet.training.results import CSVResults

class Batches(keras.utils.PyDataset):
    steps_per_epoch, num_batches = 4, None
    def __getitem__(self, index):
        time.sleep(float(sys.argv[2]))
        return np.ones((4, 3), "float32"), np.ones((4, 1), "float32")

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
fit(model, lambda epoch, batch: Batches(), steps=8, folder=sys.argv[1],
    callbacks=[CSVResults(sys.argv[1] + "/results.csv")], images_per_step=4)
"""


def test_figures_of_an_epoch():
    times = iter([10.0, 12.0, 14.0, 20.0, 21.0])
    waited = iter([1.0, 2.5, 2.5])
    callback = Throughput(8, waited.__next__, clock=times.__next__)
    callback.on_epoch_begin(0)
    for batch in (0, 1, 2, 3):
        callback.on_train_batch_end(batch, {})
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    # Three steps of eight images in ten seconds, of which one and a half were waiting.
    assert logs == {"loss": 1.0, "time/images_per_second": 2.4, "time/input_wait": 0.15}
    callback.on_epoch_begin(1)
    callback.on_train_batch_end(0, {})
    logs = {}
    callback.on_epoch_end(1, logs)
    assert logs == {}


def compiled():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_waiting_of_a_tensorflow_pipeline():
    import tensorflow as tf

    def slow(index):
        time.sleep(SLEEP)
        return X + float(index)

    def read(index):
        return tf.ensure_shape(tf.numpy_function(slow, [index], tf.float32), (4, 3))

    batches = tf.data.Dataset.range(100).map(read).map(lambda x: (x, x[:, :1]))
    waiting = InputWait()
    measured = waiting.measured(batches)
    for (x, y), (expected, _) in zip(measured.take(3), batches.take(3)):
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y, expected[:, :1])
    before, start, model = waiting.seconds(), time.perf_counter(), compiled()
    with waiting.watching(model):
        callbacks = [waiting.callback()]
        model.fit(measured, steps_per_epoch=6, shuffle=False, verbose=0, callbacks=callbacks)
    # Nothing is fetched before the first batch is asked for.
    assert SLEEP <= waiting.seconds() - before <= time.perf_counter() - start
    assert waiting.works


def test_what_tensorflow_cannot_measure_is_left_alone():
    waiting = InputWait()
    batches = [(X, X)]
    assert waiting.measured(batches) is batches
    assert not waiting.works


def test_waiting_on_jax(tmp_path):
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(SLEEP)],
        env={**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    for row in rows:
        share, speed = float(row["time/input_wait"]), float(row["time/images_per_second"])
        # Three steps of at least 50 ms, all of which but the step itself are waiting.
        assert 0 < share <= 1 and 0 < speed <= 4 / SLEEP
        assert share / speed * 4 >= SLEEP * 0.999


@pytest.mark.parametrize("value", [None, 4])
def test_images_per_second_only_where_known(value):
    callback = Throughput(value, None, clock=iter([0.0, 2.0]).__next__)
    callback.on_epoch_begin(0)
    callback.on_train_batch_end(0)
    callback.on_train_batch_end(1)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs == ({} if value is None else {"time/images_per_second": 2.0})
