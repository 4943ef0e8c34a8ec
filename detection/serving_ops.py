"""Preparing images inside a TensorFlow graph, for exported detectors.

Only standard TensorFlow operations, so that a server needs nothing of ours.
"""

import tensorflow as tf


def prepare_images(images, preprocessing):
    """Resizes and pads images as `FasterRCNN.detect` does.

    Args:
        images: uint8 tensor [B, H, W, 3].
        preprocessing: `min_side`, `max_side`, `size_divisor` and `rounding` as in
            `FasterRCNN`; without the first two the size is kept.

    Returns:
        `(images float32 [B, H', W', 3], size int32 [2])`: padded at the bottom and
        right to multiples of `size_divisor`, and height and width inside the padding.
    """
    original = tf.shape(images)[1:3]
    size = original
    if "min_side" in preprocessing:
        # float64, to round as `detection.data.transforms.resized_size`.
        sides = tf.cast(original, tf.float64)
        scale = tf.minimum(
            float(preprocessing["min_side"]) / tf.reduce_min(sides),
            float(preprocessing["max_side"]) / tf.reduce_max(sides),
        )
        half = 0.0 if preprocessing.get("rounding") == "floor" else 0.5
        size = tf.cast(tf.maximum(tf.floor(sides * scale + half), 1.0), tf.int32)
    images = tf.cast(tf.image.resize(images, size, antialias=False), tf.float32)
    divisor = int(preprocessing.get("size_divisor", 32))
    missing = -size % divisor
    images = tf.pad(images, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])
    images.set_shape([None, None, None, 3])
    return images, size
