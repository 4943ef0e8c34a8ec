"""Random erasing: rectangles that are painted over."""

import numpy as np

_AREA = (0.02, 0.33)
_RATIO = (0.3, 3.3)


def erasing_boxes(attempts, position, size):
    """Draws a rectangle for each image, of 2 % to 33 % of its area.

    Args:
        attempts: float array `(B, N, 2)` 0..1 that area and shape are made from; the first that
            fits in the image counts.
        position: float array `(B, 2)` 0..1, where in the image (y, x).
        size: int, height and width of the images in pixels.

    Returns:
        int array `(B, 4)`: top, left, height, width; all 0 where no attempt fits.

    Reference:
        Zhong et al. 2017, arXiv:1708.04896; the ranges are those of torchvision.

    Example:
    >>> erasing_boxes(np.full((1, 1, 2), 0.5), np.full((1, 2), 0.5), 100).tolist()
    [[29, 29, 42, 42]]
    """
    area = size * size * (_AREA[0] + (_AREA[1] - _AREA[0]) * attempts[..., 0])
    low, high = np.log(_RATIO)
    shape = np.exp(low + (high - low) * attempts[..., 1])
    sides = np.rint(np.sqrt(np.stack([area * shape, area / shape], axis=-1))).astype("int64")
    fits = (sides < size).all(axis=-1)
    first = fits.argmax(axis=1)
    sides = sides[np.arange(len(sides)), first]
    corner = (position * (size - sides + 1)).astype("int64")
    boxes = np.concatenate([corner, sides], axis=1)
    return np.where(fits.any(axis=1)[:, None], boxes, 0)


def erase(image, box, value):
    """Paints a rectangle.

    Args:
        image: uint8 array `(H, W, 3)`, left as it is.
        box: top, left, height and width in pixels.
        value: three ints 0..255.

    Returns:
        uint8 array `(H, W, 3)`.

    Example:
    >>> erase(np.zeros((2, 2, 3), "uint8"), (0, 1, 1, 1), (9, 9, 9))[..., 0].tolist()
    [[0, 9], [0, 0]]
    """
    top, left, height, width = box
    if height == 0:
        return image
    image = image.copy()
    image[top : top + height, left : left + width] = value
    return image
