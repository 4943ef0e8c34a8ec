"""Precision, compilation choice and the description of the machine."""

import keras
import pytest

from keras_resnet.training import devices


def test_precision_reaches_new_layers():
    try:
        devices.set_precision("mixed_bfloat16")
        layer = keras.layers.Dense(1)
    finally:
        keras.config.set_dtype_policy("float32")
    assert (layer.compute_dtype, layer.variable_dtype) == ("bfloat16", "float32")
    with pytest.raises(ValueError, match="Received: policy='float16'"):
        devices.set_precision("float16")


@pytest.mark.parametrize(
    "backend, found, expected",
    [
        ("tensorflow", [], False),
        ("tensorflow", ["GPU"], True),
        ("jax", [], True),
        ("jax", ["GPU"], True),
    ],
)
def test_choose_jit(monkeypatch, backend, found, expected):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(devices, "accelerators", lambda: found)
    assert devices.choose_jit("auto") is expected
    assert devices.choose_jit(True) is True
    assert devices.choose_jit(False) is False


def test_choose_jit_refuses_words():
    with pytest.raises(ValueError, match="Received: setting='on'"):
        devices.choose_jit("on")


def test_hardware_line(monkeypatch):
    monkeypatch.setattr(devices, "accelerators", lambda: ["A", "A", "B"])
    line = devices.describe_hardware()
    assert line.startswith(f"{keras.backend.backend()} ")
    assert line.endswith(f"keras {keras.__version__}, 2 x A, 1 x B, float32")
    monkeypatch.setattr(devices, "accelerators", list)
    assert "CPU" in devices.describe_hardware()


def test_deterministic_on_jax_with_an_accelerator_needs_a_flag(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(devices, "accelerators", lambda: ["GPU"])
    monkeypatch.setenv("XLA_FLAGS", "")
    with pytest.raises(ValueError, match="set XLA_FLAGS=--xla_gpu_deterministic_ops=true"):
        devices.set_deterministic()
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
    devices.set_deterministic()
    monkeypatch.setattr(devices, "accelerators", list)
    monkeypatch.setenv("XLA_FLAGS", "")
    devices.set_deterministic()
