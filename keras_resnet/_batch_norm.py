"""The maths of batch normalization: TensorFlow's fused operation, and the plain formula."""

import keras
from keras import ops


def can_fuse(inputs, axis):
    """Tell whether TensorFlow's fused operation can run on `inputs`."""
    if keras.config.backend() != "tensorflow":
        return False
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    if axis == -1 and dtype in ("float32", "bfloat16"):
        return True
    if dtype not in ("float32", "bfloat16", "float16"):
        return False
    import tensorflow as tf

    # The CPU kernels want channels last and know no float16.
    return bool(tf.config.list_logical_devices("GPU"))


def fused(inputs, gamma, beta, moving, epsilon, axis):
    """Normalize by TensorFlow's fused operation.

    The raw operation, because the public wrapper raises `epsilon` to 1.001e-5.

    Args and returns as `plain`.
    """
    import tensorflow as tf

    mean, variance = ([], []) if moving is None else moving
    result = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.convert_to_tensor(gamma),
        offset=tf.convert_to_tensor(beta),
        mean=tf.convert_to_tensor(mean, "float32"),
        variance=tf.convert_to_tensor(variance, "float32"),
        epsilon=epsilon,
        data_format="NHWC" if axis == -1 else "NCHW",
        is_training=moving is None,
    )
    return result.y, result.batch_mean, result.batch_variance


def plain(inputs, gamma, beta, moving, epsilon, axis, total=lambda x: x):
    """Normalize by the formula, in at least float32.

    Args:
        inputs: tensor, 4-d.
        gamma, beta: tensors `[C]`.
        moving: (mean, variance), tensors `[C]`, to normalize by; None for those of the batch.
        epsilon: float.
        axis: int, axis of the channels.
        total: function from a sum over this batch to the sum over all replicas' batches.

    Returns:
        (outputs in the dtype of `inputs`, mean used, variance used). For the batch the returned
        variance is the unbiased one.
    """
    dtype = keras.backend.result_type(inputs.dtype, "float32")
    x = ops.cast(inputs, dtype)
    shape = (1, 1, 1, -1) if axis == -1 else (1, -1, 1, 1)
    if moving is None:
        over = (0, 1, 2) if axis == -1 else (0, 2, 3)
        size = ops.shape(x)
        count = total(ops.cast(size[over[0]] * size[over[1]] * size[over[2]], dtype))
        mean = total(ops.sum(x, axis=over)) / count
        centred = x - ops.reshape(mean, shape)
        variance = total(ops.sum(ops.square(centred), axis=over)) / count
        returned_variance = variance * (count / ops.maximum(count - 1.0, 1.0))
    else:
        mean, variance = (ops.convert_to_tensor(m) for m in moving)
        returned_variance = variance
    scale = gamma * ops.rsqrt(variance + epsilon)
    outputs = (x - ops.reshape(mean, shape)) * ops.reshape(scale, shape) + ops.reshape(beta, shape)
    return ops.cast(outputs, inputs.dtype), mean, returned_variance
