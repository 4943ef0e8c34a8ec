"""The EXIF orientation of photographs, read and applied inside a TensorFlow graph.

TensorFlow's decoders ignore it: without this, photos of phones come in lying.
"""

import tensorflow as tf

# Steps of a search. EXIF is mostly one of the first segments, but may follow a PNG's pixels.
_MAX_SEGMENTS = 1024
_AT_ONCE = 1024  # Chunks of PNG that one step may pass.
_ORIENTATION_TAG = 0x0112
_JPEG_EXIF = int.from_bytes(b"Exif\0\0", "big")
_PNG_EXIF = int.from_bytes(b"eXIf", "big")
_PNG_END = int.from_bytes(b"IEND", "big")


def exif_orientation(contents):
    """Reads the EXIF orientation of a JPEG or PNG.

    Args:
        contents: string tensor [], the file's bytes.

    Returns:
        int32 tensor [], 1 to 8; 1 where there is none or it is not valid.

    Example:

    >>> int(exif_orientation(tf.constant(b"no image")))
    1
    """
    data = padded_bytes(contents)
    start = tf.cond(is_jpeg(contents), lambda: _find_jpeg_exif(data), lambda: _find_png_exif(data))
    # Some programs write the words that begin it in JPEG into PNG, too.
    start += tf.where(unsigned(data, start, 6) == _JPEG_EXIF, tf.constant(6, tf.int64), 0)
    return tf.cond(start >= 0, lambda: _tiff_orientation(data, start), lambda: tf.constant(1))


def _find_jpeg_exif(data):
    """Where the TIFF header of the EXIF segment begins, int64; -1 if there is none."""

    def segment(position):
        # FF, the kind, and a length that counts its own two bytes; pixels follow kind DA.
        kind = unsigned(data, position + 1, 1)
        is_segment = (unsigned(data, position, 1) == 0xFF) & (kind != 0xDA)
        is_exif = (kind == 0xE1) & (unsigned(data, position + 4, 6) == _JPEG_EXIF)
        length = tf.maximum(unsigned(data, position + 2, 2), 2)
        return is_segment, is_exif, position + 10, position + 2 + length

    return _find(data, 2, segment)


def _find_png_exif(data):
    """Where the TIFF header of the `eXIf` chunk begins, int64; -1 if there is none."""

    def segment(position):
        # The length of the content, the kind, the content, and a checksum of four bytes.
        length, kind = unsigned(data, position, 4), unsigned(data, position + 4, 4)
        # Pixels lie in many chunks of one length: those that are like this one are passed with it.
        chunks = position + (12 + length) * tf.range(_AT_ONCE, dtype=tf.int64)
        alike = (unsigned(data, chunks, 4) == length) & (unsigned(data, chunks + 4, 4) == kind)
        passed = tf.reduce_sum(tf.math.cumprod(tf.cast(alike, tf.int64)))
        following = position + (12 + length) * tf.maximum(passed, 1)
        return kind != _PNG_END, kind == _PNG_EXIF, position + 8, following

    return _find(data, 8, segment)


def _find(data, first, segment):
    """Walks over the segments of a file until one is the wanted.

    Args:
        data: what `padded_bytes` returned.
        first: int, where the first segment begins.
        segment: function from a position to `(is there a segment, is it the
            wanted, where is its content, where is the next segment)`.

    Returns:
        int64 tensor [], where the content of the wanted begins; -1 if there is none.
    """

    def searching(position, found):
        is_segment, _, _, _ = segment(position)
        return is_segment & (position < tf.size(data, out_type=tf.int64)) & (found < 0)

    def step(position, found):
        _, is_wanted, content, following = segment(position)
        return following, tf.where(is_wanted, content, found)

    start = (tf.constant(first, tf.int64), tf.constant(-1, tf.int64))
    return tf.while_loop(searching, step, start, maximum_iterations=_MAX_SEGMENTS)[1]


def _tiff_orientation(data, start):
    """The orientation in the first directory of the TIFF header at `start`; 1 if none."""
    big = unsigned(data, start, 2) == 0x4D4D  # "MM", else "II"

    def read(offset, length):
        return tf.where(
            big,
            unsigned(data, offset, length, big=True),
            unsigned(data, offset, length, big=False),
        )

    directory = start + read(start + 4, 4)
    entries = directory + 2 + 12 * tf.range(read(directory, 2))
    # An integer of 1, 2 or 4 bytes stands at the start of the value field.
    kind = read(entries + 2, 2)
    short_or_byte = tf.where(kind == 1, read(entries + 8, 1), read(entries + 8, 2))
    value = tf.where(kind == 4, read(entries + 8, 4), short_or_byte)
    usable = (
        (read(entries, 2) == _ORIENTATION_TAG)
        & ((kind == 1) | (kind == 3) | (kind == 4))
        & (value >= 1)
        & (value <= 8)
    )
    # Without any entry the maximum is the least int64.
    value = tf.maximum(tf.reduce_max(tf.where(usable, value, 1)), 1)
    return tf.cast(value, tf.int32)


def is_jpeg(contents):
    """Tells from its first bytes whether a file, a string tensor [], is a JPEG."""
    return tf.equal(tf.strings.substr(contents, 0, 3), b"\xff\xd8\xff")


def padded_bytes(contents):
    """The bytes of a string tensor [], uint8 [N + 1], with a 0 at the end for `unsigned`."""
    return tf.io.decode_raw(tf.strings.join([contents, b"\0"]), tf.uint8)


def unsigned(data, position, length, big=True):
    """Reads unsigned numbers of `length` bytes at `position`; bytes outside the file read as 0.

    Args:
        data: what `padded_bytes` returned.
        position: int or int64 tensor [...].
        length: int, at most 7.
        big: bool, most significant byte first.

    Returns:
        int64 tensor of the shape of `position`.
    """
    position = tf.convert_to_tensor(position, tf.int64)
    last = tf.size(data, out_type=tf.int64) - 1
    value = tf.zeros_like(position)
    for i in range(length):
        index = position + (i if big else length - 1 - i)
        index = tf.where((index >= 0) & (index < last), index, last)
        value = value * 256 + tf.cast(tf.gather(data, index), tf.int64)
    return value


def apply_orientation(image, orientation):
    """Turns an image as an EXIF orientation says, so that it stands upright.

    Args:
        image: tensor [H, W, C].
        orientation: int32 tensor [], 1 to 8.

    Returns:
        Tensor [H, W, C], or [W, H, C] for orientations 5 to 8.
    """

    def when(orientations, function, image):
        shape = [None, None, image.shape[-1]]
        chosen = tf.reduce_any(orientation == tf.constant(orientations))
        image = tf.cond(chosen, lambda: function(image), lambda: image)
        image.set_shape(shape)
        return image

    image = when([5, 6, 7, 8], lambda x: tf.transpose(x, [1, 0, 2]), image)
    image = when([2, 3, 6, 7], lambda x: tf.reverse(x, [1]), image)
    return when([3, 4, 7, 8], lambda x: tf.reverse(x, [0]), image)
