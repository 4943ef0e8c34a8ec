"""The detection maths gives the same numbers on JAX without TensorFlow as on TensorFlow."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.detection import maths_cases


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory):
    """Results of a process that runs on JAX and cannot import TensorFlow."""
    pytest.importorskip("jax")
    path = tmp_path_factory.mktemp("jax") / "results.npz"
    process = subprocess.run(
        [sys.executable, maths_cases.__file__, path],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert process.returncode == 0, process.stderr
    return dict(np.load(path))


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_results_are_equal(on_jax, jit_compile):
    """Eagerly, in a graph and compiled by XLA; indices, labels and masks exactly."""
    compute = maths_cases.compute
    if jit_compile is not None:
        compute = tf.function(compute, jit_compile=jit_compile)
    results = compute(maths_cases.inputs())
    assert set(results) == {name for name in on_jax if not name.startswith("gradient")}
    for name, value in results.items():
        value = np.asarray(value)
        if value.dtype == "float32":
            np.testing.assert_allclose(on_jax[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(on_jax[name], value, err_msg=name)
    assert results["many_valid"].numpy().sum() > 50
    assert {-1, 0, 1} <= set(results["fused_labels"].numpy().reshape(-1).tolist())


def test_gradients_are_equal(on_jax):
    data = maths_cases.inputs()
    maps = [tf.convert_to_tensor(feature) for feature in data["maps"]]
    with tf.GradientTape() as tape:
        tape.watch(maps)
        loss = maths_cases.pooled_loss(maps, data["boxes"])
    for level, gradient in enumerate(tape.gradient(loss, maps)):
        expected = tf.convert_to_tensor(gradient).numpy()
        assert np.abs(expected).max() > 1
        np.testing.assert_allclose(on_jax[f"gradient_{level}"], expected, rtol=1e-3, atol=2e-3)
