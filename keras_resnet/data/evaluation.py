"""Views of an image for evaluation: the middle, ten crops, several scales."""

import numpy as np

from keras_resnet.data.geometry import crop, resize, shorter_side_size


def rescale(image, shorter_side, interpolation="bilinear"):
    """Resizes an image to a length of its shorter side.

    Args:
        image: uint8 array `(H, W, 3)`.
        shorter_side: int in pixels.
        interpolation: see `ClassificationPipelineConfig`.

    Returns:
        uint8 array whose longer side is as long as the shape of the image asks for, rounded down.

    Example:
    >>> rescale(np.zeros((60, 100, 3), "uint8"), 30).shape
    (30, 50, 3)
    """
    height, width = shorter_side_size(*image.shape[:2], shorter_side)
    return resize(image, height, width, interpolation)


def centre_crop(image, resize, crop, interpolation="bilinear"):
    """The middle of a resized image.

    Args:
        image: uint8 array `(H, W, 3)`.
        resize: int, length of the shorter side before the crop in pixels, or None for the image
            as it is.
        crop: int, height and width of the crop in pixels.
        interpolation: see `ClassificationPipelineConfig`.

    Returns:
        uint8 array `(crop, crop, 3)`. Where the room is odd, the crop lies as in torchvision: at
        half the room, rounded to the nearest even number.

    Raises:
        ValueError: the resized image is smaller than the crop.

    Example:
    >>> centre_crop(np.zeros((60, 100, 3), "uint8"), 32, 28).shape
    (28, 28, 3)
    """
    image = _prepare(image, resize, crop, interpolation)
    return _middle(image, crop)


def ten_crop(image, resize, crop, interpolation="bilinear"):
    """The corners and the middle of a resized image, and those of its mirror image.

    Args:
        image: uint8 array `(H, W, 3)`.
        resize, crop, interpolation: as for `centre_crop`.

    Returns:
        uint8 array `(10, crop, crop, 3)`: top left, top right, bottom left, bottom right, middle,
        then the same of the image mirrored left and right.

    Raises:
        ValueError: the resized image is smaller than the crop.

    Reference:
        Krizhevsky et al. 2012, section 4.1; He et al. 2015, section 3.4.

    Example:
    >>> ten_crop(np.zeros((60, 100, 3), "uint8"), 32, 28).shape
    (10, 28, 28, 3)
    """
    image = _prepare(image, resize, crop, interpolation)
    return np.stack([*_five(image, crop), *_five(image[:, ::-1], crop)])


def _prepare(image, side, crop, interpolation):
    if side is not None:
        image = rescale(image, side, interpolation)
    if min(image.shape[:2]) < crop:
        raise ValueError(
            f"The image is {image.shape[1]} x {image.shape[0]} pixels before the crop, smaller "
            f"than it; set the length to resize to. Received: resize={side}, crop={crop}"
        )
    return image


def _five(image, size):
    top, bottom = image[:size], image[-size:]
    corners = [part[:, columns] for part in (top, bottom) for columns in _ends(size)]
    return [*corners, _middle(image, size)]


def _ends(size):
    return slice(size), slice(-size, None)


def _middle(image, size):
    top, left = (round((side - size) / 2) for side in image.shape[:2])
    return crop(image, top, left, size, size)
