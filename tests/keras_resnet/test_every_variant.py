"""What every variant of a network can: train, be saved, compute the same everywhere."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_resnet

# Small networks; every shape change of the large ones happens in them.
V2 = {"stem": "imagenet_v2", "shortcut": "max_pool", "stride_at": "last"}
CIFAR = {"block": "basic", "stem": "3x3"}
VARIANTS = {
    "v1": {"stride_in": "1x1"},
    "v1.5": {},
    "basic": {"block": "basic"},
    "v2": {"block": "preact_bottleneck", **V2},
    "v2 basic": {"block": "preact_basic", **V2},
    "v2 of He et al.": {"block": "preact_basic", "stem": "3x3_v2"},
    "D": {"stem": "deep", "shortcut": "avg_pool"},
    "squeeze-and-excitation": {"squeeze_excitation": 4},
    "option A": {**CIFAR, "shortcut": "zero_pad"},
    "option A, zeros on both sides": {**CIFAR, "shortcut": {"kind": "zero_pad", "zeros": "both"}},
    "option C": {"shortcut": "projection_all"},
    "plain": {"block": "basic", "shortcut": "none"},
    "highway": {**CIFAR, "shortcut": {"kind": "highway", "gate_bias": -1.0}},
    "synchronized norm": {"norm": "sync_batch"},
    "frozen norm": {"norm": "frozen"},
    "group norm": {"norm": {"kind": "group", "groups": 4}},
    "weight standardization": {
        "norm": {"kind": "group", "groups": 4, "weight_standardization": True}
    },
    "weight standardization, v2": {
        "block": "preact_bottleneck",
        **V2,
        "norm": {"kind": "group", "groups": 4, "weight_standardization": True},
    },
    "stochastic depth": {"stochastic_depth": 0.2},
    "dilated": {"output_stride": 4},
    "dilated v2": {"block": "preact_bottleneck", **V2, "output_stride": 4},
}
OTHER_FORMAT = {"channels_last": "channels_first", "channels_first": "channels_last"}

JAX = """
import sys
sys.modules["tensorflow"] = None  # from here on, importing it raises ImportError
import keras, numpy as np, keras_resnet
x = np.load(sys.argv[1] + "/x.npy")
outputs = []
for i in range(int(sys.argv[2])):
    model = keras.saving.load_model(f"{sys.argv[1]}/{i}.keras")
    outputs.append(model.predict(x, verbose=0))
np.save(sys.argv[1] + "/jax.npy", outputs)
"""


def make(variant, **arguments):
    """A network with weights that let every part of it show in its outputs."""
    arguments = {"width": 8, "classes": 5, "classifier_activation": None, **arguments}
    model = keras_resnet.ResNet((1, 2), zero_init_residual=False, **arguments, **VARIANTS[variant])
    rng = np.random.default_rng(0)
    for v in model.variables:
        if v.name in ("gamma", "moving_variance"):
            v.assign(rng.uniform(0.5, 1.5, v.shape))
        elif v.name in ("bias", "beta", "moving_mean"):
            v.assign(v + 0.2 * rng.standard_normal(v.shape))
        elif v.name == "kernel":
            fan_in = np.prod(v.shape[:-1])
            v.assign(rng.standard_normal(v.shape) * np.sqrt(2 / fan_in))
    return model


def images():
    return np.random.default_rng(1).standard_normal((4, 33, 38, 3)).astype("float32")


def assert_close(ours, theirs):
    ours, theirs = np.array(ours), np.array(theirs)
    assert np.abs(theirs).max() > 0.01
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def saved_and_reloaded(variant, tmp_path):
    model = make(variant)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert type(again) is keras_resnet.ResNet
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again(images()), model(images()))
    model.save_weights(tmp_path / "m.weights.h5")
    other = keras_resnet.ResNet.from_config(model.get_config())
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(other(images()), model(images()))


def finite_loss(policy):
    def check(variant, tmp_path):
        model = make(variant, dtype=policy)
        model.compile(
            keras.optimizers.SGD(0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=True,
        )
        assert np.isfinite(model.train_on_batch(images(), np.arange(4)))
        assert np.isfinite(model.test_on_batch(images(), np.arange(4)))
        assert all(np.isfinite(np.array(v)).all() for v in model.trainable_variables)

    return check


def equal_on_jax(variant, tmp_path):
    outputs = np.load(jax_outputs(tmp_path))
    assert_close(make(variant)(images()), outputs[list(VARIANTS).index(variant)])


def equal_in_both_formats(variant, tmp_path):
    last = make(variant, data_format="channels_last")
    first = make(variant, data_format="channels_first")
    assert_close(first(images().transpose(0, 3, 1, 2)), last(images()))


def lower_loss_after_a_step(variant, tmp_path):
    model = make(variant)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-4), loss, run_eagerly=True)
    # Both steps skip the same blocks.
    seeds = [v for v in model.variables if v.name == "seed_generator_state"]
    drawn = [np.array(v) for v in seeds]
    before = model.train_on_batch(images(), np.arange(4))
    for seed, value in zip(seeds, drawn, strict=True):
        seed.assign(value)
    assert model.train_on_batch(images(), np.arange(4)) < before


_JAX_OUTPUTS = {}


def jax_outputs(tmp_path):
    """Run every variant in one JAX process without TensorFlow; return the file of the outputs."""
    if not _JAX_OUTPUTS:
        np.save(tmp_path / "x.npy", images())
        for i, variant in enumerate(VARIANTS):
            make(variant).save(tmp_path / f"{i}.keras")
        result = subprocess.run(
            [sys.executable, "-c", JAX, str(tmp_path), str(len(VARIANTS))],
            env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        _JAX_OUTPUTS["file"] = tmp_path / "jax.npy"
    return _JAX_OUTPUTS["file"]


CHECKS = {
    "saving": saved_and_reloaded,
    "bfloat16": finite_loss("mixed_bfloat16"),
    "float16": finite_loss("mixed_float16"),
    "jax": equal_on_jax,
    "channels_first": equal_in_both_formats,
    "step": lower_loss_after_a_step,
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(variant, check, tmp_path):
    CHECKS[check](variant, tmp_path)
