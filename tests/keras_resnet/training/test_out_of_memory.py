"""What the frameworks raise when memory runs out is recognised; other errors are not."""

import numpy as np
import pytest

from keras_resnet.training.out_of_memory import out_of_memory


def test_of_numpy():
    with pytest.raises(MemoryError) as error:
        np.zeros((2**50, 2**10), "uint8")
    assert out_of_memory(error.value).startswith("Out of memory")


def test_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    text = (
        "{{function_node __wrapped__X}} OOM when allocating tensor with shape[8,256,200,304] and "
        "type float on /job:localhost/device:GPU:0 by allocator GPU_0_bfc [Op:Conv2D]"
    )
    assert "smaller batches" in out_of_memory(tf.errors.ResourceExhaustedError(None, None, text))
    text = "Out of memory while trying to allocate 1610612736 bytes."
    told = out_of_memory(tf.errors.ResourceExhaustedError(None, None, text))
    assert told.startswith("Out of memory: 1.5 GiB more were wanted. Use")
    for other in ("a.event; No space left on device", "/data/a.jpg; Too many open files"):
        assert out_of_memory(tf.errors.ResourceExhaustedError(None, None, other)) is None


def test_of_jax():
    jax = pytest.importorskip("jax")
    text = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 2.50GiB."
    error = jax.errors.JaxRuntimeError(text)
    assert "2.50 GiB more were wanted" in out_of_memory(error)
    assert out_of_memory(jax.errors.JaxRuntimeError("INVALID_ARGUMENT: no")) is None


@pytest.mark.parametrize("error", [ValueError("out of memory?"), OSError(28, "No space left")])
def test_others(error):
    assert out_of_memory(error) is None
