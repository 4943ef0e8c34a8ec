"""The order of the images of an epoch, from (seed, epoch) alone."""

import numpy as np

# Streams of random numbers: what is drawn from one does not shift the others.
ORDER, AUGMENTATION, MIXING = 0, 1, 2


def epoch_order(count, seed, epoch, shuffle=True, repeats=1):
    """Positions of the images of an epoch in the order they are trained on.

    With `repeats`, repeated augmentation: each image of the epoch occurs that many times in a
    row, to be augmented differently each time, and the epoch keeps its length, so that only
    `count / repeats` images occur in it.

    Args:
        count: int, images of the data set.
        seed: int from 0.
        epoch: int from 0.
        shuffle: bool; otherwise the order of the data set.
        repeats: int from 1.

    Returns:
        int32 array `(count,)`.

    Reference:
        Hoffer et al. 2019, arXiv:1901.09335, for repeated augmentation.

    Example:
    >>> epoch_order(4, seed=0, epoch=0, shuffle=False, repeats=2).tolist()
    [0, 0, 1, 1]
    """
    order = np.arange(count)
    if shuffle:
        order = np.random.default_rng([seed, epoch, ORDER]).permutation(count)
    return np.repeat(order, repeats)[:count].astype("int32")
