"""Training on two devices gives what training on one gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_resnet.training.devices import data_parallel

PROGRAM = """
import json, shutil, sys
import keras, numpy as np

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
else:
    import jax
    jax.config.update("jax_num_cpu_devices", 2)

from keras_resnet.training.devices import choose_jit, data_parallel
from keras_resnet.training.ema import EMA
from keras_resnet.training.loop import fit
from keras_resnet.training.optimizer import SGD

rng = np.random.default_rng(0)
x = rng.normal(size=(32, 6, 6, 2)).astype("float32")
y = (x.mean((1, 2, 3)) > 0).astype("int32")

class Batches(keras.utils.PyDataset):
    steps_per_epoch, num_batches = 4, None
    def __init__(self, epoch, batch):
        super().__init__()
        self.start = epoch * 4 + batch
    def __getitem__(self, index):
        rows = (self.start + index) % 4 * 8 + np.arange(8)
        return x[rows], y[rows]

class Losses(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        losses.append(logs["loss"])

class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2 and keras.ops.convert_to_numpy(self.model.optimizer.iterations) == 7:
            raise KeyboardInterrupt

def train(devices, folder, resume=False, callbacks=(), spe=1):
    keras.utils.set_random_seed(0)
    with data_parallel(devices, batch_size=8) as count:
        model = keras.Sequential([keras.Input((6, 6, 2))])
        model.add(keras.layers.Conv2D(4, 3, activation="relu"))
        model.add(keras.layers.GroupNormalization(2))
        model.add(keras.layers.Flatten())
        model.add(keras.layers.Dense(2))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        options = {"jit_compile": choose_jit(), "steps_per_execution": spe}
        model.compile(SGD(0.1, weight_decay=1e-3), loss, metrics=["accuracy"], **options)
        ema = EMA(0.5)
        fit(model, Batches, steps=12, folder=folder, callbacks=[ema, *callbacks], resume=resume,
            evaluate=lambda epoch: {"val_loss": model.evaluate(x, y, 8, verbose=0)[0]},
            state_every=1, say=lambda line: None)
        weights = [keras.ops.convert_to_numpy(v).tolist() for v in model.trainable_variables]
        averages = [keras.ops.convert_to_numpy(v).tolist() for v in ema.run_variables().values()]
    return weights, averages

found = []
for devices in (1, "all"):
    losses = []
    weights, averages = train(devices, f"{sys.argv[1]}/{devices}", callbacks=[Losses()])
    found.append({"losses": losses, "weights": weights, "averages": averages})
try:
    train(2, sys.argv[1] + "/cut", callbacks=[Stop()])
except KeyboardInterrupt:
    pass
shutil.copytree(sys.argv[1] + "/cut", sys.argv[1] + "/cut_1")
for devices, cut in ((2, "/cut"), (1, "/cut_1")):
    losses = []
    weights, averages = train(devices, sys.argv[1] + cut, resume=True, callbacks=[Losses()])
    found.append({"losses": losses, "weights": weights, "averages": averages})
refused = {}
for name, options in {"three": {"devices": 3}, "together": {"devices": 2, "spe": 2}}.items():
    try:
        train(folder=sys.argv[1] + "/refused", **options)
    except ValueError as error:
        refused[name] = str(error)
print(json.dumps({"found": found, "refused": refused}))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_equal_one(tmp_path, backend):
    environment = {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    one, two, continued, continued_by_one = report["found"]
    assert len(one["losses"]) == 12 and one["losses"][-1] < one["losses"][0]
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    for name in ("weights", "averages"):
        for other in (two, continued, continued_by_one):
            for a, b in zip(one[name], other[name], strict=True):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    # Killed after step 7, of which the state on disk is that of step 6.
    np.testing.assert_allclose(continued["losses"], two["losses"][-len(continued["losses"]) :])
    assert 5 <= len(continued["losses"]) <= 6
    # A run goes on with another number of devices.
    np.testing.assert_allclose(continued_by_one["losses"], continued["losses"], rtol=1e-5)
    assert "Received: devices=3" in report["refused"]["three"]
    assert ("together" in report["refused"]) == (backend == "tensorflow")


def test_one_device_changes_nothing():
    with data_parallel(1) as count:
        assert count == 1
    with pytest.raises(ValueError, match="Received: devices=0"), data_parallel(0):
        pass
    with data_parallel("all", batch_size=7) as count:
        assert count == 1
