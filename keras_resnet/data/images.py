"""Reading images: bytes from a file or from inside one, and decoding."""

import io
import os
import stat

import numpy as np
from PIL import Image, UnidentifiedImageError

from keras_resnet.data.errors import DataError
from keras_resnet.data.printable import printable

# What is decoded, whatever the ending of the file says. Pillow knows more formats, among them EPS,
# for which it starts Ghostscript, an interpreter of programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM", "TIFF", "JPEG2000", "AVIF")
MAX_PIXELS = 178_956_970  # Half a GiB as RGB; where Pillow suspects a decompression bomb.
MAX_BYTES = 2**29  # Of an encoded image.
_ORIENTATION = 0x0112  # The EXIF tag.
_MAX_NAME = 4096  # Characters of a path in a message.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_bytes(path, byte_range=None):
    """Returns the bytes of an encoded image.

    Args:
        path: String, the file.
        byte_range: Optional tuple `(offset, length)`, where in the file the image lies.

    Raises:
        DataError: If the file cannot be read, naming it.
    """
    shown = printable(path, _MAX_NAME)
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise DataError(
                f"The image file {shown} is a folder; give its files, one or a list of them: "
                f"sorted(pathlib.Path(folder).glob('*.jpg'))."
            )
        # A pipe would never end.
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"The image file {shown} is no regular file.")
        if (found.st_size if byte_range is None else byte_range[1]) > MAX_BYTES:
            raise DataError(f"The image file {shown} is larger than {MAX_BYTES:,} bytes.")
        with open(path, "rb") as file:
            if byte_range is None:
                return file.read()
            file.seek(byte_range[0])
            return file.read(byte_range[1])
    except OSError as error:
        raise DataError(f"The image file {shown} cannot be read: {error.strerror}.") from error


def decode_image(data, where="image", size=None):
    """Decodes an image to RGB, turned as its EXIF orientation says.

    Some data sets annotate photographs as stored, ignoring the orientation. When `size` is given
    it decides: an image that has that size only as stored is not turned.

    Args:
        data: Bytes of a file in one of `FORMATS`; of animations the first frame is taken.
        where: String that names the image in messages.
        size: Optional tuple `(height, width)` that the annotation gives.

    Returns:
        uint8 array `(H, W, 3)`.

    Raises:
        DataError: If the image does not decode, has more than `MAX_PIXELS` pixels or another
            size.
    """
    where = printable(where, _MAX_NAME)
    try:
        image = _open(io.BytesIO(data))
        turned = upright(image)
        wanted = None if size is None else (size[1], size[0])
        image = image if wanted == image.size != turned.size else turned
        image = image if image.mode == "RGB" else to_rgb(image)
        pixels = np.asarray(image)
    except Exception as error:  # Pillow raises of many kinds on damaged files.
        raise DataError(f"The image {where} does not decode: {reason(error)}.") from error
    if size is not None and pixels.shape[:2] != tuple(size):
        raise DataError(
            f"The image {where} is {pixels.shape[1]} x {pixels.shape[0]} pixels, "
            f"but its annotation says {size[1]} x {size[0]}."
        )
    return pixels


def _open(file):
    """Reads the header and refuses what would be too large decoded."""
    image = Image.open(file, formats=FORMATS)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
    image.info.pop("xmp", None)  # By it, too, Pillow would turn a TIFF.
    return image


def upright(image):
    """Turns a PIL image as the EXIF block of its file says; the image itself where it need not."""
    orientation = _exif_orientation(image)
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def _exif_orientation(image):
    """1 to 8; 1 where there is none, and for TIFF, which Pillow turns by itself.

    Pillow's own `getexif` also takes the orientation from XMP and from ImageMagick's text in PNG.
    An exported model, which has no Pillow, reads EXIF only, and must see what is trained on.
    """
    if image.format == "TIFF":
        return 1
    if image.format == "PNG" and "exif" not in image.info:
        image.load()  # It may stand behind the pixels.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(_ORIENTATION)
    except Exception:  # Damaged EXIF is none.
        return 1
    return orientation if isinstance(orientation, int) and orientation in _TURNS else 1


def reason(error):
    """What an error of Pillow says, without the address of a buffer in memory."""
    if isinstance(error, UnidentifiedImageError):
        return f"it is in no image format that is read ({', '.join(FORMATS)})"
    return printable(error) or type(error).__name__


def to_rgb(image):
    """Converts a PIL image of any mode to RGB; transparent pixels keep their colour."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit grey values at 255 instead of scaling them.
        grey = np.asarray(image).astype("float32") / 257.0
        image = Image.fromarray(np.clip(np.rint(grey), 0, 255).astype("uint8"))
    return image.convert("RGB")


def image_size(data):
    """Returns `(height, width)` after EXIF orientation, and whether that swaps the sides.

    Reads the header only, but PNGs whole, whose EXIF may stand behind the pixels.

    Args:
        data: Bytes or an open binary file.

    Returns:
        A tuple `((height, width), turned)`.

    Raises:
        ValueError: If it is no image, or one of more than `MAX_PIXELS` pixels; the message gives
            the reason only.
    """
    try:
        with _open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            width, height = image.size
            turned = _exif_orientation(image) in (5, 6, 7, 8)
    except Exception as error:  # Pillow raises of many kinds on damaged files.
        raise ValueError(reason(error)) from error
    return ((width, height) if turned else (height, width)), turned
