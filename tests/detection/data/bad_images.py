"""Image files as they come: each with what becomes of it. Also the source of a Markdown table."""

import io
import os
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image

SIZE = (24, 36)  # Height and width of the picture.
PICTURE = np.random.default_rng(5).integers(0, 256, (*SIZE, 3), "uint8")
GREY = np.arange(SIZE[0] * SIZE[1], dtype="uint16").reshape(SIZE) * 75


class Accepted(NamedTuple):
    """A file that is read; `pixels` is what has to come out, `size` what the annotation says."""

    what: str
    outcome: str
    content: bytes
    pixels: np.ndarray
    name: str = "picture.jpg"

    @property
    def size(self):
        return self.pixels.shape[:2]


class Unusable(NamedTuple):
    """A file that is left out and counted, or refused; `place` puts it where the image would be."""

    what: str
    reason: str
    place: object
    kind: str = "undecodable_image"
    # Whether the size in the header shows it, so that no pixel has to be decoded.
    in_header: bool = True


def encoded(image, kind, **options):
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def by_pillow(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def turned(orientation, kind="PNG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(PICTURE, kind, exif=exif)


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, *chunks, depth=8, colour=2):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def accepted():
    picture = Image.fromarray(PICTURE)
    jpeg, cmyk = encoded(picture, "JPEG"), encoded(picture.convert("CMYK"), "JPEG")
    alpha = np.dstack([PICTURE, np.arange(PICTURE[..., 0].size, dtype="uint8").reshape(SIZE)])
    # Each row of a PNG starts with the number of its filter.
    deep = b"".join(b"\0" + np.repeat(row, 2).tobytes() for row in PICTURE)
    palette = picture.quantize(16)
    grey8 = np.rint(GREY / 257).astype("uint8")
    frames = [Image.fromarray(frame).quantize(64) for frame in (PICTURE, 255 - PICTURE)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    one = np.array([[[9, 200, 90]]], "uint8")
    long = np.repeat(PICTURE[:20, :1], 20_000, axis=1)
    bad_exif = turned(6, "JPEG").replace(b"Exif\0\0", b"Exif\0\0\xff\xff\xff\xff", 1)
    return [
        Accepted("PNG named .jpg", "read by its content", encoded(PICTURE, "PNG"), PICTURE),
        Accepted("WebP", "read", encoded(PICTURE, "WEBP", lossless=True), PICTURE),
        Accepted("CMYK JPEG", "converted to RGB", cmyk, by_pillow(cmyk)),
        Accepted(
            "16-bit grey PNG",
            "scaled to 8 bits, not cut off at 255",
            encoded(GREY, "PNG"),
            np.repeat(grey8[..., None], 3, axis=2),
        ),
        Accepted(
            "16-bit RGB PNG",
            "upper 8 bits",
            png(*SIZE[::-1], chunk(b"IDAT", zlib.compress(deep)), depth=16),
            PICTURE,
        ),
        Accepted(
            "palette PNG",
            "colours of the palette",
            encoded(palette, "PNG"),
            np.asarray(palette.convert("RGB")),
        ),
        Accepted(
            "palette PNG with transparency",
            "colours of the palette, opaque",
            encoded(palette, "PNG", transparency=3),
            np.asarray(palette.convert("RGB")),
        ),
        Accepted("alpha channel", "colours as stored, opaque", encoded(alpha, "PNG"), PICTURE),
        Accepted(
            "grey with alpha",
            "grey as stored, opaque",
            encoded(Image.fromarray(alpha[..., :2], "LA"), "PNG"),
            np.repeat(PICTURE[..., :1], 3, axis=2),
        ),
        Accepted(
            "black and white (1 bit)",
            "0 and 255",
            encoded(Image.fromarray(PICTURE[..., 0] > 99), "PNG"),
            np.repeat((PICTURE[..., :1] > 99) * np.uint8(255), 3, axis=2),
        ),
        Accepted("animated GIF", "first frame", gif, np.asarray(frames[0].convert("RGB"))),
        Accepted(
            "EXIF orientation 6, annotated as shown",
            "turned; boxes are those of the upright picture",
            turned(6),
            np.rot90(PICTURE, -1),
        ),
        Accepted(
            "EXIF orientation 6, annotated as stored",
            "not turned: the annotated size decides",
            turned(6),
            PICTURE,
        ),
        Accepted(
            "TIFF with orientation 6",
            "turned",
            encoded(PICTURE, "TIFF", tiffinfo={0x0112: 6}),
            np.rot90(PICTURE, -1),
        ),
        Accepted("EXIF that is no EXIF", "not turned", bad_exif, by_pillow(bad_exif)),
        Accepted("JPEG with bytes after its end", "read", jpeg + b"x" * 999, by_pillow(jpeg)),
        Accepted("1 x 1 pixel", "read, enlarged as others", encoded(one, "PNG"), one),
        Accepted("20000 x 20 pixels", "read, the longer side bounded", encoded(long, "PNG"), long),
    ]


def write(content):
    return lambda path: path.write_bytes(content)


def _huge(path):
    with open(path, "wb") as file:
        file.write(encoded(PICTURE, "JPEG"))
        file.truncate(2**29 + 1)  # Takes no room on the disk.


def _absent(path):
    assert not path.exists()


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 36 24\n%%EndComments\n"
    b"(exploded) (w) file closefile\nshowpage\n%%EOF\n"
)


def unusable():
    jpeg, plain = encoded(PICTURE, "JPEG"), encoded(PICTURE, "PNG")
    broken = bytearray(plain)
    broken[60] ^= 255
    bmp = bytearray(encoded(PICTURE, "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    gif = bytearray(encoded(Image.fromarray(PICTURE[..., 0]), "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000), 9))
    bomb = png(60_000, 60_000, chunk(b"IDAT", zlib.compress(bytes(1000))))
    short = png(*SIZE[::-1], chunk(b"IDAT", zlib.compress(bytes(1000))))
    return [
        Unusable("missing file", "do not exist", _absent, "missing_image"),
        Unusable("empty file", "no image format", write(b"")),
        Unusable("text named .jpg", "no image format", write(b"<html>404 Not Found</html>")),
        Unusable("JPEG cut off in its header", "[Tt]runcated|no image", write(jpeg[:100])),
        Unusable("JPEG cut off in its pixels", "truncated", write(jpeg[:-300]), in_header=False),
        Unusable("PNG of too few pixels", "truncated", write(short)),
        Unusable("PNG with a flipped byte", "broken|checksum|CRC", write(bytes(broken))),
        Unusable("PNG bomb of 60000 x 60000 pixels", "pixels", write(bomb)),
        Unusable("BMP bomb of 60000 x 60000 pixels", "pixels", write(bytes(bmp))),
        Unusable("GIF bomb of 65535 x 65535 pixels", "pixels", write(bytes(gif))),
        Unusable(
            "PNG with a text of 80 MB in 80 KB",
            "too large",
            write(plain[:33] + text + plain[33:]),
        ),
        Unusable("EPS program named .jpg", "no image format", write(EPS)),
        Unusable("file of more than 512 MiB", "larger than", _huge, in_header=False),
        Unusable("folder of the image's name", "do not exist", os.mkdir, "missing_image"),
        Unusable("named pipe", "do not exist", os.mkfifo, "missing_image"),
        Unusable(
            "another size than annotated",
            "10 x 10 in the file",
            write(encoded(PICTURE[:10, :10], "PNG")),
            "size_mismatch",
        ),
    ]


ACCEPTED, UNUSABLE = accepted(), unusable()


def rows():
    """Rows of the table: source, input, outcome."""
    for case in ACCEPTED:
        yield "image", case.what, f"accepted: {case.outcome}"
    for case in UNUSABLE:
        yield "image", case.what, f"left out and counted (`{case.kind}`), or refused"
