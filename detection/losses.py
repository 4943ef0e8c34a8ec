"""Loss terms of Faster R-CNN, element by element and in float32.

They return one value per element; masking and normalisation belong to the
stage that owns the loss (`rpn.py`, `roi_heads.py`).
"""

from keras import ops


def binary_cross_entropy(logits, targets):
    """Binary cross-entropy of raw logits.

    Args:
        logits: Tensor of any shape.
        targets: Tensor of the same shape, 0 or 1.

    Returns:
        float32 tensor of the same shape.

    Example:

    >>> loss = binary_cross_entropy(keras.ops.zeros((1,)), keras.ops.ones((1,)))
    >>> round(float(loss[0]), 4)
    0.6931
    """
    logits = ops.cast(logits, "float32")
    targets = ops.cast(targets, "float32")
    # max(x, 0) - x t + log(1 + exp(-|x|)) never overflows.
    return ops.relu(logits) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))


def softmax_cross_entropy(logits, labels):
    """Cross-entropy of raw logits against class indices.

    Args:
        logits: Tensor [..., K].
        labels: int tensor [...], each in 0..K-1.

    Returns:
        float32 tensor [...].

    Example:

    >>> loss = softmax_cross_entropy(keras.ops.zeros((1, 4)), keras.ops.zeros((1,), "int32"))
    >>> round(float(loss[0]), 4)
    1.3863
    """
    log_probabilities = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    picked = ops.take_along_axis(
        log_probabilities, ops.expand_dims(ops.cast(labels, "int32"), -1), axis=-1
    )
    return -ops.squeeze(picked, -1)


def smooth_l1(predictions, targets, beta=0.0):
    """Smooth L1 of each row, summed over the last axis.

    `0.5 d^2 / beta` for `|d| < beta` and `|d| - 0.5 beta` beyond; `beta=0` is
    plain L1. The sigma of Girshick's formulation is `beta = 1 / sigma^2`.

    Args:
        predictions: Tensor [..., D].
        targets: Tensor [..., D].
        beta: float >= 0, where the quadratic part ends.

    Returns:
        float32 tensor [...].

    Reference:
        Girshick, "Fast R-CNN" (2015), section 2.3.

    Example:

    >>> float(smooth_l1(keras.ops.array([[0.5, 2.0]]), keras.ops.zeros((1, 2)), beta=1.0)[0])
    1.625
    """
    if beta < 0:
        raise ValueError(f"`beta` must not be negative. Received: beta={beta}")
    distance = ops.abs(ops.cast(predictions, "float32") - ops.cast(targets, "float32"))
    if beta > 0:
        quadratic = 0.5 * distance * distance / beta
        distance = ops.where(distance < beta, quadratic, distance - 0.5 * beta)
    return ops.sum(distance, axis=-1)
