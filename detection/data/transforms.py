"""What is done to an image and its boxes.

Nothing here is random: the factors are drawn beforehand (see `plan.py`).
"""

import numpy as np

_GREY = np.array([0.299, 0.587, 0.114], "float32")
_STRIP = 32  # Rows resized at a time.
ROUNDING = {"nearest": 0.5, "floor": 0.0}  # What is added before fractions are cut off.


def resized_size(height, width, min_side, max_side, rounding="nearest"):
    """The size at which the shorter side is `min_side` and the longer at most `max_side`.

    Args:
        height: Integer or array, height in pixels.
        width: Integer or array, width in pixels.
        min_side: Number or array, wanted length of the shorter side.
        max_side: Number or array, bound of the longer side.
        rounding: `"nearest"`, or `"floor"`, which cuts fractions off as torchvision does. Floating
            point makes that 799 for some sides that should become 800, here as there.

    Returns:
        A tuple `(height, width)` of integers, or of int32 arrays; rounded, at least 1.

    Example:

    ```python
    resized_size(480, 640, 800, 1333)     # (800, 1067)
    resized_size(300, 900, 800, 1333)     # (444, 1333)
    ```
    """
    shorter, longer = np.minimum(height, width), np.maximum(height, width)
    scale = np.minimum(min_side / shorter, max_side / longer)
    half = ROUNDING[rounding]
    sides = [np.maximum(np.floor(side * scale + half), 1) for side in (height, width)]
    if np.ndim(scale) == 0:
        return int(sides[0]), int(sides[1])
    return sides[0].astype("int32"), sides[1].astype("int32")


def resize_bilinear(image, height, width):
    """Bilinear resizing with half-pixel centres and without antialiasing.

    The result equals `tf.image.resize(image, (height, width))`.

    Args:
        image: Array `(H, W, C)`.
        height: Integer, new height.
        width: Integer, new width.

    Returns:
        float32 array `(height, width, C)`.
    """
    image = np.asarray(image)
    if image.shape[:2] == (height, width):
        return image.astype("float32")
    top, bottom, down = _neighbours(height, image.shape[0])
    left, right, along = _neighbours(width, image.shape[1])
    # Rows as flat vectors: gathering single values is several times faster than gathering pixels.
    # Strips of rows stay in the processor's cache.
    channels = np.arange(image.shape[2])
    along = np.repeat(along, len(channels))
    left, right = ((x[:, None] * len(channels) + channels).ravel() for x in (left, right))
    flat = image.reshape(image.shape[0], -1)
    resized = np.empty((height, len(along)), "float32")
    for start in range(0, height, _STRIP):
        strip = slice(start, start + _STRIP)
        first_row = top[strip][0]
        rows = flat[first_row : bottom[strip][-1] + 1]
        mixed = _mix(rows.take(left, axis=1), rows.take(right, axis=1), along)
        upper, lower = (mixed.take(y[strip] - first_row, axis=0) for y in (top, bottom))
        resized[strip] = _mix(upper, lower, down[strip, None])
    return resized.reshape(height, width, -1)


def resize_rounded(image, height, width, out=None):
    """Bilinear resizing to uint8, a third of the time of `resize_bilinear` and rounding.

    It computes in integers: the result is the same on every machine, and within one grey level
    of the rounded result of `resize_bilinear`.

    Args:
        image: uint8 array `(H, W, 3)`.
        height: Integer, new height.
        width: Integer, new width.
        out: Optional uint8 array `(height, width, 3)` to write to; may be a part of a larger one.

    Returns:
        uint8 array `(height, width, 3)`.
    """
    import cv2

    return cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR_EXACT)


def _mix(first, second, weight):
    first, second = first.astype("float32", copy=False), second.astype("float32", copy=False)
    second -= first
    second *= weight
    second += first
    return second


def _neighbours(new, old):
    """Positions of the two source pixels of each new pixel, and the weight of the second."""
    scale = np.float32(old) / np.float32(new)
    centre = (np.arange(new, dtype="float32") + np.float32(0.5)) * scale - np.float32(0.5)
    low = np.floor(centre)
    first = np.maximum(low, 0).astype("int64")
    second = np.minimum(np.ceil(centre), old - 1).astype("int64")
    return first, second, centre - low


def prepare_image(image, min_side, max_side, rounding="nearest"):
    """Resizes an image for inference.

    Args:
        image: uint8 array `(H, W, 3)`.
        min_side: Integer, wanted length of the shorter side in pixels.
        max_side: Integer, bound of the longer side in pixels.
        rounding: As for `resized_size`.

    Returns:
        A tuple `(image, scale)`: float32 `(H', W', 3)`, 0..255, and float32 `(2,)`, resized
        length over original length as `(y, x)`.
    """
    height, width = resized_size(*image.shape[:2], min_side, max_side, rounding)
    scale = np.array([height / image.shape[0], width / image.shape[1]], "float32")
    return resize_bilinear(image, height, width), scale


def transform_boxes(boxes, original_size, size, flips):
    """Scales and mirrors boxes as their image.

    Args:
        boxes: float32 array `(N, 4)`, `(x1, y1, x2, y2)` in pixels of the original image.
        original_size: Tuple `(height, width)` of the original image.
        size: Tuple `(height, width)` after resizing.
        flips: Tuple of booleans `(horizontal, vertical)`.

    Returns:
        float32 array `(N, 4)` in pixels of the resized image.
    """
    x_scale, y_scale = size[1] / original_size[1], size[0] / original_size[0]
    boxes = boxes * np.array([x_scale, y_scale, x_scale, y_scale], "float32")
    if flips[0]:
        boxes[:, [0, 2]] = size[1] - boxes[:, [2, 0]]
    if flips[1]:
        boxes[:, [1, 3]] = size[0] - boxes[:, [3, 1]]
    return boxes


def crop_boxes(boxes, offset, size, min_side):
    """Moves boxes into a window and clips them to it.

    Args:
        boxes: float32 array `(N, 4)`, `(x1, y1, x2, y2)` in pixels.
        offset: Tuple `(y, x)` of the window's first pixel.
        size: Tuple `(height, width)` of the window.
        min_side: Number, shorter clipped sides make a box too small.

    Returns:
        A tuple `(boxes, kept)`: float32 array `(K, 4)` in pixels of the window, and the positions
        of these boxes among all.
    """
    moved = boxes - np.array([*offset[::-1], *offset[::-1]], "float32")
    moved = np.clip(moved, 0, np.array([*size[::-1], *size[::-1]], "float32"))
    sides = moved[:, 2:] - moved[:, :2]
    kept = np.flatnonzero((sides > 0).all(axis=1) & (sides >= min_side).all(axis=1))
    return moved[kept], kept


def flip_into(image, flips, out):
    """Mirrors an image into an array of its shape and dtype.

    Args:
        image: Array `(H, W, C)`, uint8 or float32.
        flips: Tuple of booleans `(horizontal, vertical)`.
        out: Array `(H, W, C)`, another one; may be a part of a larger one.
    """
    if not any(flips):
        out[...] = image
        return
    import cv2

    # NumPy takes ten times as long to reverse pixels of three bytes.
    cv2.flip(image, 1 if not flips[1] else 0 if not flips[0] else -1, dst=out)


def jitter_colour(image, factors):
    """Changes brightness, contrast and saturation, in this order.

    Args:
        image: float32 array `(H, W, 3)`, 0..255.
        factors: Three numbers; 1 changes nothing. Brightness multiplies all colours; contrast
            multiplies their distance from the mean grey of the image; saturation that from the
            grey of the pixel.

    Returns:
        float32 array of the same shape, clipped to 0..255.
    """
    brightness, contrast, saturation = (np.float32(factor) for factor in factors)
    image = image * brightness
    mean = np.mean(image @ _GREY, dtype="float64").astype("float32")
    image = (image - mean) * contrast + mean
    grey = (image @ _GREY)[..., None]
    return np.clip((image - grey) * saturation + grey, 0, 255)


def to_dtype(image, dtype):
    """Rounds to uint8 (halves to even), or converts to float32."""
    if image.dtype == dtype:
        return image
    return np.rint(image).astype(dtype) if dtype == "uint8" else image.astype(dtype)
