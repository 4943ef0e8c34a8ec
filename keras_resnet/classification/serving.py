"""The signatures of an exported classifier, as TensorFlow functions."""

import tensorflow as tf

from keras_resnet.decode_ops import decode_image

# By their names here, whose antialiased forms equal Pillow's.
_METHODS = {
    "nearest": "nearest",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "lanczos3",
}


def classify_images(call, images):
    """Classifies images of one size.

    Args:
        call: function from `{"images": tensor}` to `{"outputs": logits}`.
        images: float32 tensor [B, H, W, 3], RGB, 0..255.

    Returns:
        dict of `probabilities`, float32 [B, K], and `classes`, int32 [B].
    """
    probabilities = tf.nn.softmax(call({"images": images})["outputs"])
    classes = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
    return {"probabilities": probabilities, "classes": classes}


def classify_bytes(call, image_bytes, resize, crop, interpolation):
    """Classifies encoded images by the middle of each.

    Args:
        call: as for `classify_images`.
        image_bytes: string tensor [B], JPEG or PNG files of any sizes.
        resize, crop, interpolation: as for `prepare_crop`.

    Returns:
        dict as of `classify_images`, and `valid`, bool [B]: False, with probabilities of 0 and the
        class -1, for bytes that do not decode, and for results that are not finite.
    """

    def one(contents):
        image, valid = decode_image(contents)
        image, fits = prepare_crop(image, resize, crop, interpolation)
        return image, valid & fits

    specs = tf.TensorSpec([crop, crop, 3], tf.float32), tf.TensorSpec([], tf.bool)
    images, valid = tf.map_fn(one, image_bytes, fn_output_signature=specs)
    # Convolutions that TensorFlow fused fail on an empty batch: it gets an image of zeros.
    count = tf.shape(images)[0]
    images = tf.concat([images, tf.zeros([tf.cast(count == 0, tf.int32), crop, crop, 3])], 0)
    outputs = {k: v[:count] for k, v in classify_images(call, images).items()}
    probabilities = outputs["probabilities"]
    valid = valid & tf.reduce_all(tf.math.is_finite(probabilities), axis=-1)
    return {
        "probabilities": tf.where(valid[:, None], probabilities, 0.0),
        "classes": tf.where(valid, outputs["classes"], -1),
        "valid": valid,
    }


def prepare_crop(image, resize, crop, interpolation="bilinear"):
    """The middle of a resized image, as `keras_resnet.data.evaluation.centre_crop` takes it.

    A few pixels are rounded to the other side; with `"nearest"`, where two pixels are equally
    near, the other one may be taken.

    Args:
        image: uint8 tensor [H, W, 3].
        resize: int, length of the shorter side before the crop, or None for the image as it is.
        crop: int, height and width of the crop.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"` or `"lanczos"`.

    Returns:
        `(image float32 [crop, crop, 3], fits bool [])`: whole numbers 0..255, zeros where the
        image is smaller than the crop.
    """
    size = tf.shape(image, out_type=tf.int64)[:2]
    if resize is not None:
        size = resize * size // tf.reduce_min(size)
        height, width = tf.unstack(tf.cast(size, tf.int32))
        # Pillow resizes the rows first, and rounds after each.
        for target in ([tf.shape(image)[0], width], [height, width]):
            scaled = tf.image.resize(
                image, target, _METHODS[interpolation], antialias=interpolation != "nearest"
            )
            image = tf.clip_by_value(tf.floor(tf.cast(scaled, tf.float32) + 0.5), 0.0, 255.0)
    image = tf.cast(image, tf.float32)
    fits = tf.reduce_all(size >= crop)
    # Half of an odd room is rounded to the even number, as in Python.
    top, left = tf.unstack(tf.cast(tf.round((size - crop) / 2), tf.int32))
    image = tf.cond(
        fits,
        lambda: image[top : top + crop, left : left + crop],
        lambda: tf.zeros([crop, crop, 3]),
    )
    return tf.ensure_shape(image, [crop, crop, 3]), fits
