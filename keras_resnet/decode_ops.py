"""Decoding images inside a TensorFlow graph, for exported models.

Only standard TensorFlow operations, so that a server needs nothing of ours.
"""

import tensorflow as tf

from keras_resnet.exif_ops import (
    apply_orientation,
    exif_orientation,
    is_jpeg,
    padded_bytes,
    unsigned,
)

# Pillow refuses larger images as decompression bombs.
MAX_PIXELS = 178_956_970


def decode_image(contents, max_pixels=MAX_PIXELS):
    """Decodes a JPEG or PNG to RGB, turned as its EXIF orientation says.

    Never fails: whatever does not decode, e.g. a truncated file, another format
    or an image of more than `max_pixels`, is returned as not valid.

    Args:
        contents: string tensor [], the file's bytes.
        max_pixels: int, bound on height times width, checked before decoding.

    Returns:
        `(image uint8 [H, W, 3], valid bool [])`; `[1, 1, 3]` zeros if not valid.

    Example:

    >>> image, valid = decode_image(tf.constant(b"no image"))
    >>> image.shape, bool(valid)
    (TensorShape([1, 1, 3]), False)
    """

    def decode(contents):
        image = tf.cond(
            is_jpeg(contents),
            lambda: _decode_jpeg(contents, max_pixels),
            lambda: _decode_png(contents, max_pixels),
        )
        image.set_shape([None, None, 3])
        return image

    # A data set is the one standard construct in a graph that survives an error.
    decoded = tf.data.Dataset.from_tensors(contents).map(decode).ignore_errors()
    nothing = tf.data.Dataset.from_tensors(tf.zeros([0, 0, 3], tf.uint8))
    image = decoded.concatenate(nothing).take(1).get_single_element()
    image.set_shape([None, None, 3])
    valid = tf.size(image) > 0
    image = tf.cond(valid, lambda: image, lambda: tf.zeros([1, 1, 3], tf.uint8))
    image.set_shape([None, None, 3])
    return image, valid


def _decode_jpeg(contents, max_pixels):
    shape = tf.image.extract_jpeg_shape(contents, output_type=tf.int64)

    def decode():
        # The accurate transform is the one Pillow uses: equal pixels.
        return tf.image.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")

    return _decode_if_small(contents, shape[0] * shape[1], max_pixels, decode)


def _decode_png(contents, max_pixels):
    # `decode_png` takes other formats too, so the first bytes decide.
    is_png = tf.equal(tf.strings.substr(contents, 0, 8), b"\x89PNG\r\n\x1a\n")
    # The header's first fields are width and height.
    data = padded_bytes(tf.strings.substr(contents, 0, 24))
    width, height = unsigned(data, 16, 4), unsigned(data, 20, 4)
    pixels = tf.where(is_png, width * height, tf.int64.max)

    def decode():
        return tf.image.decode_png(contents, channels=3)

    return _decode_if_small(contents, pixels, max_pixels, decode)


def _decode_if_small(contents, pixels, max_pixels, decode):
    """Decodes and turns an image whose header tells at most `max_pixels`; else it is empty."""
    return tf.cond(
        pixels <= max_pixels,
        lambda: apply_orientation(decode(), exif_orientation(contents)),
        lambda: tf.zeros([0, 0, 3], tf.uint8),
    )
