"""Random choice of the anchors or proposals on which a step trains."""

import math

from keras import ops


def sample(labels, count, positive_fraction, noise):
    """Choose up to `count` candidates of every image, positives first, at random.

    Takes `min(positives, int(count * positive_fraction))` positives and fills up with negatives.
    Ignored candidates (label -1) are never chosen.

    Args:
        labels: int tensor `[B, N]`: 1 positive, 0 negative, -1 ignored. N may be dynamic, and
            smaller than `count`.
        count: int, number of slots an image.
        positive_fraction: float in `[0, 1]`, largest share of positives.
        noise: float tensor `[B, N]`, uniform in `[0, 1)`; the candidates with the largest values
            are chosen, so the caller's generator decides.

    Returns:
        `(indices, valid, positive)`, each `[B, count]`: int32 index into N (0 in unused slots),
        bool whether the slot is used, bool whether it holds a positive.

    Raises:
        ValueError: if `count` is not positive or the fraction is outside `[0, 1]`.

    Reference:
        Ren et al. 2015, section 3.1.3.

    Example:
        >>> sample(np.array([[1, 0, -1, 0]]), 3, 0.5, np.array([[0.1, 0.2, 0.3, 0.4]]))
        # ([[0, 3, 1]], [[True, True, True]], [[True, False, False]])
    """
    if count < 1 or not 0 <= positive_fraction <= 1:
        raise ValueError(
            "`count` must be positive and `positive_fraction` in [0, 1]. "
            f"Received: count={count}, positive_fraction={positive_fraction}"
        )
    most_positives = math.floor(count * positive_fraction)
    labels = ops.convert_to_tensor(labels)
    noise = ops.cast(noise, "float32")
    is_positive, is_negative = labels == 1, labels == 0
    num_positives = ops.minimum(_count(is_positive), most_positives)
    num_negatives = ops.minimum(_count(is_negative), count - num_positives)

    negatives = _largest(noise, is_negative, count)
    slot = ops.arange(count, dtype="int32")[None, :]
    positive = slot < num_positives
    valid = slot < num_positives + num_negatives
    # Slot j beyond the positives holds negative number j - num_positives.
    negative_slot = ops.clip(slot - num_positives, 0, count - 1)
    indices = ops.take_along_axis(negatives, negative_slot, axis=1)
    if most_positives:
        positives = _largest(noise, is_positive, most_positives)
        positives = ops.pad(positives, ((0, 0), (0, count - most_positives)))
        indices = ops.where(positive, positives, indices)
    return ops.where(valid, indices, 0), valid, positive


def _count(mask):
    return ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)


def _largest(noise, mask, count):
    """Indices of the `count` masked entries with the most noise, the others after them."""
    keys = ops.where(mask, noise, -1.0)
    # The padding makes `count` candidates exist whatever N is: top_k needs a static count.
    keys = ops.pad(keys, ((0, 0), (0, count)), constant_values=-2.0)
    return ops.cast(ops.top_k(keys, count)[1], "int32")
