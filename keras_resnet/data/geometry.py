"""Cropping and resizing of images; nothing here is random."""

import numpy as np
from PIL import Image

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resize(image, height, width, interpolation="bilinear"):
    """Resizes an image; shrinking is antialiased, except with `"nearest"`.

    Args:
        image: uint8 array `(H, W, 3)`.
        height, width: ints, the new size in pixels.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"` or `"lanczos"`.

    Returns:
        uint8 array `(height, width, 3)`.

    Example:
    >>> resize(np.full((4, 6, 3), 7, "uint8"), 2, 3).tolist()[0][0]
    [7, 7, 7]
    """
    if image.shape[:2] == (height, width):
        return image
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((width, height), _FILTERS[interpolation]))


def shorter_side_size(height, width, side):
    """The size with the same shape whose shorter side has a given length.

    Args:
        height, width: ints in pixels.
        side: int in pixels.

    Returns:
        `(height, width)`; the longer side is rounded down.

    Example:
    >>> shorter_side_size(480, 641, 256)
    (256, 341)
    """
    if height <= width:
        return side, side * width // height
    return side * height // width, side


def crop(image, top, left, height, width, fill=0):
    """Cuts out a rectangle, possibly reaching over the border.

    Args:
        image: uint8 array `(H, W, 3)`.
        top, left: ints, first row and column, possibly negative.
        height, width: ints, size of the rectangle.
        fill: int 0..255 or one for each channel, the colour outside the image.

    Returns:
        uint8 array `(height, width, 3)`, possibly a view.

    Example:
    >>> crop(np.ones((2, 2, 3), "uint8"), -1, 0, 2, 2)[..., 0].tolist()
    [[0, 0], [1, 1]]
    """
    rows, columns = image.shape[:2]
    if top >= 0 and left >= 0 and top + height <= rows and left + width <= columns:
        return image[top : top + height, left : left + width]
    result = np.full((height, width, 3), fill, "uint8")
    inside = image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    y, x = max(-top, 0), max(-left, 0)
    result[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return result


def random_resized_box(height, width, attempts, position, scale, ratio):
    """The part of an image that a random resized crop takes.

    Args:
        height, width: ints, size of the image in pixels.
        attempts: float array `(N, 2)` 0..1 that area and shape are made from; the first attempt
            that fits in the image counts, and without one a large part in the middle.
        position: two floats 0..1, where in the image (y, x).
        scale: `(low, high)`, share of the area.
        ratio: `(low, high)`, width over height, drawn uniformly in its logarithm.

    Returns:
        `(top, left, height, width)` in pixels.

    Example:
    >>> random_resized_box(10, 20, np.array([[0.5, 0.5]]), (0, 0.5), (0.25, 0.75), (1, 1))
    (0, 5, 10, 10)
    """
    area = height * width * (scale[0] + (scale[1] - scale[0]) * attempts[:, 0])
    low, high = np.log(ratio)
    shape = np.exp(low + (high - low) * attempts[:, 1])
    widths, heights = np.rint(np.sqrt(area * shape)), np.rint(np.sqrt(area / shape))
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    if not fits.any():
        box_width = min(width, max(1, round(height * ratio[1])))
        box_height = min(height, max(1, round(width / ratio[0])))
        return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width
    first = int(fits.argmax())
    box_height, box_width = int(heights[first]), int(widths[first])
    top = int(position[0] * (height - box_height + 1))
    left = int(position[1] * (width - box_width + 1))
    return top, left, box_height, box_width
