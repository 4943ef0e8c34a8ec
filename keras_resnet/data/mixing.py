"""MixUp and CutMix: batches of mixed images and labels."""

from typing import NamedTuple

import numpy as np


class Mixing(NamedTuple):
    """How a batch is mixed with itself.

    Args:
        partner: int array `(B,)`, the row each row is mixed with.
        share: float, how much of the row itself is kept.
        box: top, left, bottom and right of what CutMix replaces, or None for MixUp.
    """

    partner: np.ndarray
    share: float
    box: tuple[int, int, int, int] | None


def draw_mixing(rng, rows, size, mixup, cutmix):
    """Draws how to mix a batch.

    Args:
        rng: `numpy.random.Generator`.
        rows: int, images in the batch.
        size: int, their height and width in pixels.
        mixup: float, parameter of MixUp's beta distribution; 0 for no MixUp.
        cutmix: float, parameter of CutMix's; 0 for no CutMix. With both, one of them is drawn.

    Returns:
        A `Mixing`.

    Example:
    >>> draw_mixing(np.random.default_rng(0), 2, 8, mixup=0.2, cutmix=0).box is None
    True
    """
    partner, cuts = rng.permutation(rows), rng.random() < 0.5
    cuts = cutmix > 0 and (cuts or mixup == 0)
    alpha = cutmix if cuts else mixup
    share = float(rng.beta(alpha, alpha))
    if not cuts:
        return Mixing(partner, share, None)
    middle, half = rng.integers(0, size, 2), int(0.5 * size * np.sqrt(1 - share))
    top, left = (int(v) for v in np.maximum(middle - half, 0))
    bottom, right = (int(v) for v in np.minimum(middle + half, size))
    # At the border the rectangle is smaller than drawn.
    share = 1 - (bottom - top) * (right - left) / size**2
    return Mixing(partner, share, (top, left, bottom, right))


def mix(images, labels, classes, mixing):
    """Mixes a batch.

    Args:
        images: uint8 array `(B, H, W, 3)`.
        labels: int array `(B,)`.
        classes: int.
        mixing: a `Mixing`.

    Returns:
        `(images, probabilities)`: float32 arrays `(B, H, W, 3)`, 0..255, and `(B, classes)`.

    Example:
    >>> images = np.array([0, 200], "uint8").reshape(2, 1, 1, 1).repeat(3, axis=3)
    >>> x, y = mix(images, np.array([0, 1]), 2, Mixing(np.array([1, 0]), 0.75, None))
    >>> x[:, 0, 0, 0].tolist(), y.tolist()
    ([50.0, 150.0], [[0.75, 0.25], [0.25, 0.75]])
    """
    mixed = images.astype("float32")
    if mixing.box is None:
        share = np.float32(mixing.share)
        mixed *= share
        mixed += (1 - share) * images[mixing.partner]
    else:
        top, left, bottom, right = mixing.box
        mixed[:, top:bottom, left:right] = images[mixing.partner, top:bottom, left:right]
    rows = np.arange(len(labels))
    probabilities = np.zeros((len(labels), classes), "float32")
    probabilities[rows, labels] = mixing.share
    # Both may have the same label.
    probabilities[rows, labels[mixing.partner]] += np.float32(1 - mixing.share)
    return mixed, probabilities
