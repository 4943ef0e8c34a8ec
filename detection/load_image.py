"""An image from wherever people have it."""

from pathlib import Path

import numpy as np
from PIL import Image

from detection.data.images import decode_image, read_bytes, to_rgb
from keras_resnet.data.images import MAX_PIXELS, upright


def load_image(source):
    """Reads an image as uint8 RGB [H, W, 3], turned as its EXIF orientation says.

    Args:
        source: path, PIL image, or array [H, W, 3] or [H, W] uint8.

    Raises:
        ValueError: naming the file, or the shape and dtype, that is not an image; or an image of
            more than 178,956,970 pixels, as in a served model, which is not decoded.
    """
    if isinstance(source, (str, Path)):
        return decode_image(read_bytes(source), str(source))
    if isinstance(source, Image.Image):
        width, height = source.size
        if width * height > MAX_PIXELS:
            raise ValueError(
                f"An image may have {MAX_PIXELS:,} pixels. Received: {width} x {height} pixels"
            )
        return np.asarray(to_rgb(upright(source)))
    array = np.asarray(source)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=-1)
    if array.ndim != 3 or array.shape[-1] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise ValueError(
            "An image must be a path, a PIL image or a uint8 array [H, W, 3] in RGB order. "
            f"Received: shape={array.shape}, dtype={array.dtype}"
        )
    return array
