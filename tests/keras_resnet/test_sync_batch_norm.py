"""Statistics over all replicas, in processes with two logical devices."""

import os
import subprocess
import sys

import keras
import numpy as np

import keras_resnet

FILL = """
import sys, numpy as np
folder, backend = sys.argv[1:]
x = np.load(folder + "/x.npy")

def fill(layer):
    layer.build((None, 4, 5, 3))
    rng = np.random.default_rng(1)
    for v in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance):
        v.assign(rng.uniform(0.5, 1.5, v.shape))
    return layer
"""

TENSORFLOW = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, keras_resnet
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    layer = fill(keras_resnet.SyncBatchNormalization())
# Replicas of different size.
parts = {0: x[:6], 1: x[6:]}
parts = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(parts[context.replica_id_in_sync_group])
)

@tf.function
def step(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, training=True)
        loss = tf.reduce_sum(outputs**3)
    return outputs, tape.gradient(loss, x)

outputs, gradients = strategy.run(step, (parts,))
join = lambda value: np.concatenate([v.numpy() for v in strategy.experimental_local_results(value)])
np.savez(folder + "/out.npz", outputs=join(outputs), gradients=join(gradients),
         mean=layer.moving_mean.numpy(), variance=layer.moving_variance.numpy())
"""

JAX = """
import keras, jax, keras_resnet
assert len(jax.devices()) == 2
keras.distribution.set_distribution(keras.distribution.DataParallel())
layer = fill(getattr(keras_resnet, backend)())
model = keras.Sequential([keras.Input((4, 5, 3)), layer])
model.compile(keras.optimizers.SGD(0.0), lambda y, outputs: keras.ops.sum(outputs**3))
loss = model.train_on_batch(x, np.zeros(len(x)))
np.savez(folder + "/out.npz", mean=layer.moving_mean, variance=layer.moving_variance)
"""


def run(program, folder, backend, layer="", **environment):
    x = np.random.default_rng(0).standard_normal((8, 4, 5, 3)).astype("float32")
    # Replicas whose own statistics differ much from those of all.
    x = x + np.arange(8, dtype="float32").reshape(-1, 1, 1, 1)
    np.save(folder / "x.npy", x)
    result = subprocess.run(
        [sys.executable, "-c", FILL + program, str(folder), layer],
        env={**os.environ, "KERAS_BACKEND": backend, **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return x, np.load(folder / "out.npz")


def whole_batch(x):
    """Return the layer of one device after a step on the whole batch, outputs and gradients."""
    import tensorflow as tf

    layer = keras_resnet.BatchNormalization()
    layer.build((None, 4, 5, 3))
    rng = np.random.default_rng(1)
    for v in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance):
        v.assign(rng.uniform(0.5, 1.5, v.shape))
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, training=True)
        loss = tf.reduce_sum(outputs**3)
    return layer, outputs, tape.gradient(loss, x)


def test_two_replicas_of_tensorflow_equal_one_device(tmp_path):
    x, found = run(TENSORFLOW, tmp_path, "tensorflow")
    flat = x.reshape(-1, 3).astype("float64")
    layer, outputs, gradients = whole_batch(x)
    np.testing.assert_allclose(found["outputs"], outputs, atol=1e-5)
    np.testing.assert_allclose(found["gradients"], gradients, atol=1e-3)
    rng = np.random.default_rng(1)
    _, _, mean, variance = (rng.uniform(0.5, 1.5, 3) for _ in range(4))
    np.testing.assert_allclose(found["mean"], 0.9 * mean + 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        found["variance"], 0.9 * variance + 0.1 * flat.var(0, ddof=1), rtol=1e-5
    )
    np.testing.assert_allclose(found["variance"], layer.moving_variance, rtol=1e-5)


def test_on_jax_the_whole_batch_counts_for_either_norm(tmp_path):
    for layer in ("SyncBatchNormalization", "BatchNormalization"):
        x, found = run(
            JAX,
            tmp_path,
            "jax",
            layer,
            XLA_FLAGS="--xla_force_host_platform_device_count=2",
            JAX_PLATFORMS="cpu",
        )
        flat = x.reshape(-1, 3).astype("float64")
        rng = np.random.default_rng(1)
        _, _, mean, variance = (rng.uniform(0.5, 1.5, 3) for _ in range(4))
        np.testing.assert_allclose(found["mean"], 0.9 * mean + 0.1 * flat.mean(0), rtol=1e-5)
        np.testing.assert_allclose(
            found["variance"], 0.9 * variance + 0.1 * flat.var(0, ddof=1), rtol=1e-5
        )


def test_one_device_equals_batch_norm():
    x = np.random.default_rng(0).standard_normal((4, 3, 3, 2)).astype("float32")
    sync, batch = keras_resnet.SyncBatchNormalization(), keras_resnet.BatchNormalization()
    np.testing.assert_allclose(sync(x, training=True), batch(x, training=True), atol=1e-5)
    np.testing.assert_allclose(sync.moving_variance, batch.moving_variance, rtol=1e-5)
    np.testing.assert_allclose(sync(x), batch(x), atol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(sync))
    assert type(again) is keras_resnet.SyncBatchNormalization
