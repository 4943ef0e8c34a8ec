"""Changes of brightness, contrast, saturation and hue, done by Pillow."""

import numpy as np
from PIL import Image, ImageEnhance

_KINDS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def jitter_colour(image, change, order):
    """Changes the colours of an image.

    Args:
        image: uint8 array `(H, W, 3)`.
        change: factors of brightness, contrast and saturation, and the shift of the hue in turns
            of the colour circle; (1, 1, 1, 0) changes nothing.
        order: the order in which these four are applied.

    Returns:
        uint8 array `(H, W, 3)`.

    Example:
    >>> jitter_colour(np.full((1, 1, 3), 100, "uint8"), (1.5, 1, 1, 0), (0, 1, 2, 3)).tolist()
    [[[150, 150, 150]]]
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    for number in order:
        value = float(change[number])
        if number < 3 and value != 1:
            picture = _KINDS[number](picture).enhance(value)
        elif number == 3 and value != 0:
            picture = _turn_hue(picture, value)
    return np.asarray(picture)


def _turn_hue(picture, turns):
    hue, saturation, value = picture.convert("HSV").split()
    shift = int(turns * 255)
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")
