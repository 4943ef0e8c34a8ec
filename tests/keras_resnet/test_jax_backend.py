"""The same numbers from JAX, in a process where TensorFlow cannot be imported."""

import os
import subprocess
import sys

import numpy as np

import keras_resnet

PROGRAM = """
import sys
sys.modules["tensorflow"] = None  # from here on, importing it raises ImportError
import keras, numpy as np, keras_resnet
assert keras.config.backend() == "jax"
folder = sys.argv[1]
model = keras.saving.load_model(f"{folder}/model.keras")
assert type(model) is keras_resnet.ResNet
x = np.load(f"{folder}/x.npy")
logits = model.predict(x, verbose=0)
features = keras_resnet.feature_extractor(model, ("C2", "C3"))(x)
model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(True))
loss = model.train_on_batch(x, np.arange(4))
moving = model.get_layer("stem").norm.moving_variance
np.savez(f"{folder}/jax.npz", logits=logits, loss=loss, moving=moving,
         after=model.predict(x, verbose=0), **features)
"""


def test_jax_without_tensorflow_gives_the_same_numbers(tmp_path):
    import keras

    model = keras_resnet.ResNet(
        (1, 2), width=8, classes=5, classifier_activation=None, zero_init_residual=False
    )
    x = np.random.default_rng(0).standard_normal((4, 33, 40, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    jax = np.load(tmp_path / "jax.npz")

    def assert_close(ours, theirs):
        ours, theirs = np.array(ours), np.array(theirs)
        assert np.abs(ours - theirs).max() <= 1e-4 * max(1.0, np.abs(theirs).max())

    assert_close(model.predict(x, verbose=0), jax["logits"])
    for name, feature in keras_resnet.feature_extractor(model, ("C2", "C3"))(x).items():
        assert_close(feature, jax[name])
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(True))
    assert_close(model.train_on_batch(x, np.arange(4)), jax["loss"])
    assert_close(model.get_layer("stem").norm.moving_variance, jax["moving"])
    assert_close(model.predict(x, verbose=0), jax["after"])
