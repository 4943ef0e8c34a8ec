"""All of the training code in a JAX process in which TensorFlow cannot be imported."""

import os
import subprocess
import sys

import keras
import numpy as np

from keras_resnet.training.artifact import save_artifact
from keras_resnet.training.optimizer import SGD
from keras_resnet.training.schedules import WarmupStep
from keras_resnet.training.variable_keys import variable_keys

MODEL = """
def build():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh")])
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dropout(0.5))
    model.add(keras.layers.Dense(1))
    return model
"""

SCRIPT = """
import importlib, pkgutil, sys
sys.modules["tensorflow"] = None
import keras, numpy as np
import keras_resnet.training as training

for module in pkgutil.iter_modules(training.__path__):
    importlib.import_module(f"keras_resnet.training.{module.name}")
from keras_resnet.training.artifact import assign, load_artifact
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.devices import choose_jit, describe_hardware
from keras_resnet.training.divergence import NaNStop
from keras_resnet.training.optimizer import SGD
from keras_resnet.training.progress import ProgressLogger
from keras_resnet.training.results import CSVResults
from keras_resnet.training.schedules import WarmupStep
from keras_resnet.training.tensorboard import tensorboard_callback
from keras_resnet.training.training_state import restore_training_state, save_training_state
from keras_resnet.training.variable_keys import variable_keys
MODEL
folder = sys.argv[1]
assert keras.backend.backend() == "jax"
assert describe_hardware().startswith("jax ") and choose_jit() is True
assert tensorboard_callback(folder)[0] is None

model = build()
description, arrays = load_artifact(folder + "/from_test")
assign(variable_keys(model), arrays)
x = np.load(folder + "/x.npy")
y = x.sum(1, keepdims=True)
np.save(folder + "/outputs.npy", model.predict(x, verbose=0))

model.compile(SGD(WarmupStep(0.05, (4,), warmup_steps=2), weight_decay=1e-2), "mse")
callbacks = [
    ProgressLogger(images_per_step=4, every_seconds=0),
    NaNStop(),
    CSVResults(folder + "/results.csv"),
    Checkpoints(folder + "/weights", lambda path: None, "loss", "min"),
]
model.fit(x, y, 4, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
save_training_state(folder + "/weights/state", model, {"epoch": 2})
again = build()
again.compile(SGD(WarmupStep(0.05, (4,), warmup_steps=2), weight_decay=1e-2), "mse")
assert restore_training_state(folder + "/weights/state", again)[0] == {"epoch": 2}
for m in (model, again):
    m.fit(x, y, 4, initial_epoch=2, epochs=4, shuffle=False, verbose=0)
for a, b in zip(model.get_weights(), again.get_weights()):
    np.testing.assert_array_equal(a, b)
"""


def test_training_on_jax_alone(tmp_path):
    space = {"keras": keras}
    exec(MODEL, space)
    model = space["build"]()
    x = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    model.compile(SGD(WarmupStep(0.05, (4,))), "mse")
    model.fit(x, x.sum(1, keepdims=True), 4, verbose=0)
    save_artifact(tmp_path / "from_test", {}, variable_keys(model))

    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    script = SCRIPT.replace("MODEL\n", MODEL)
    command = [sys.executable, "-c", script, str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    # Weights saved by this process's backend give the same outputs there.
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), expected, rtol=1e-4, atol=1e-5)
    lines = result.stdout.splitlines()
    assert sum(line.startswith("epoch 2/2 step ") for line in lines) == 3
    assert "lr 0.005" in result.stdout  # ten times less from step 4
