"""Reading images: bytes from a file or from inside one, and decoding."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_resnet.data.errors import DataError

_ORIENTATION = 0x0112  # The EXIF tag.


def read_bytes(path, byte_range=None):
    """Returns the bytes of an encoded image.

    Args:
        path: String, the file.
        byte_range: Optional tuple `(offset, length)`, where in the file the image lies.

    Raises:
        DataError: If the file cannot be read, naming it.
    """
    try:
        with open(path, "rb") as file:
            if byte_range is None:
                return file.read()
            file.seek(byte_range[0])
            return file.read(byte_range[1])
    except OSError as error:
        raise DataError(f"The image file {path} cannot be read: {error.strerror}.") from error


def decode_image(data, where="image", size=None):
    """Decodes an image to RGB, turned as its EXIF orientation says.

    Some data sets annotate photographs as stored, ignoring the orientation. When `size` is given
    it decides: an image that has that size only as stored is not turned.

    Args:
        data: Bytes of a file of any format that Pillow reads.
        where: String that names the image in messages.
        size: Optional tuple `(height, width)` that the annotation gives.

    Returns:
        uint8 array `(H, W, 3)`.

    Raises:
        DataError: If the image does not decode or has another size.
    """
    try:
        image = Image.open(io.BytesIO(data))
        stored = image.size
        if image.getexif().get(_ORIENTATION, 1) != 1:
            turned = ImageOps.exif_transpose(image)
            wanted = None if size is None else (size[1], size[0])
            image = image if wanted == stored != turned.size else turned
        image = image if image.mode == "RGB" else to_rgb(image)
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"The image {where} does not decode: {reason(error)}.") from error
    if size is not None and pixels.shape[:2] != tuple(size):
        raise DataError(
            f"The image {where} is {pixels.shape[1]} x {pixels.shape[0]} pixels, "
            f"but its annotation says {size[1]} x {size[0]}."
        )
    return pixels


def reason(error):
    """What an error of Pillow says, without the address of a buffer in memory."""
    if isinstance(error, UnidentifiedImageError):
        return "it is in no image format that Pillow knows"
    return str(error)


def to_rgb(image):
    """Converts a PIL image of any mode to RGB; transparent pixels keep their colour."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit grey values at 255 instead of scaling them.
        grey = np.asarray(image).astype("float32") / 257.0
        image = Image.fromarray(np.clip(np.rint(grey), 0, 255).astype("uint8"))
    return image.convert("RGB")


def image_size(data):
    """Returns `(height, width)` after EXIF orientation, and whether that swaps the sides.

    Reads the header only.

    Args:
        data: Bytes or an open binary file.

    Returns:
        A tuple `((height, width), turned)`.
    """
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return ((width, height) if turned else (height, width)), turned
