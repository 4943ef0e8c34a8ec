"""Top-k with a fixed result size, whatever the number of candidates."""

from keras import ops


def padded_top_k(scores, k):
    """The `k` best of each row, padded where there are fewer candidates.

    A plain `top_k` needs at least `k` candidates, which is not known when the
    image size is dynamic. The result is as wide as `min(k, N)` for a static
    `N`, and `k` otherwise.

    Args:
        scores: float tensor [B, N].
        k: int, the most to keep.

    Returns:
        `(values [B, k'], indices int32 [B, k'], valid bool [B, k'])`, in order
        of score; padding has index 0, value -inf and `valid` False.

    Example:

    >>> values, indices, valid = padded_top_k(keras.ops.array([[1.0, 3.0, 2.0]]), 2)
    >>> indices.numpy().tolist()
    [[1, 2]]
    """
    count = ops.shape(scores)[1]
    static = isinstance(count, int)
    if static:
        k = min(k, count)
    else:
        scores = ops.pad(scores, ((0, 0), (0, k)), constant_values=float("-inf"))
    values, indices = ops.top_k(scores, k)
    indices = ops.cast(indices, "int32")
    valid = values > float("-inf")
    if not static:
        indices = ops.where(valid, indices, 0)
    return values, indices, valid
