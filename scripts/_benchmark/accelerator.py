"""What a processor can do at most, and what a model asks of it. By JAX."""

import numpy as np

from _benchmark.harness import Unavailable


def matrix_product(size=8192, repeats=10, quick=False):
    """Products of square bfloat16 matrices, the fastest arithmetic a processor has."""
    jax = _jax()
    size, repeats = (256, 2) if quick else (size, repeats)
    a = jax.numpy.full((size, size), 0.5 / size, "bfloat16")

    @jax.jit
    def run(x):
        for _ in range(repeats):
            x = jax.numpy.matmul(x, a)
        return x

    return lambda: run(a).block_until_ready(), {"flops": 2 * repeats * size**3}


def copy(megabytes=4096, repeats=10, quick=False):
    """Reading and writing memory."""
    jax = _jax()
    megabytes, repeats = (4, 2) if quick else (megabytes, repeats)
    x = jax.numpy.zeros(megabytes * 2**18, "float32")
    # Programs of their own: one program would add once.
    add = jax.jit(lambda x: x + 1)

    def step():
        found = x
        for _ in range(repeats):
            found = add(found)
        found.block_until_ready()

    return step, {"bytes": 2 * repeats * x.nbytes}


def forward_flops(model, x):
    """Floating-point operations of a forward pass, a multiplication and an addition being two.

    Args:
        model: a built Keras model; the backend must be JAX.
        x: its input, or a structure of arrays.
    """
    jax = _jax()
    lowered = jax.jit(lambda x: model(x, training=False)).lower(jax.tree.map(np.asarray, x))
    return float(lowered.cost_analysis()["flops"])


def _jax():
    try:
        import jax
    except ImportError as error:
        raise Unavailable(f"JAX cannot be imported: {error}") from None
    return jax
