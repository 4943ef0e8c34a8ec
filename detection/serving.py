"""The signatures of an exported detector, as TensorFlow functions of a model."""

import tensorflow as tf

from detection.serving_ops import prepare_images
from keras_resnet.decode_ops import decode_image


def serve_bytes(model, image_bytes, call=None):
    """Detects in encoded images, each by itself.

    Args:
        model: a `FasterRCNN`.
        image_bytes: string tensor [B], JPEG or PNG files.
        call: as for `serve_images`.

    Returns:
        dict of tensors as `export_saved_model` describes.
    """
    count = model.roi_heads.selection.max_detections
    signature = {
        "boxes": tf.TensorSpec([count, 4], tf.float32),
        "scores": tf.TensorSpec([count], tf.float32),
        "classes": tf.TensorSpec([count], tf.int32),
        "num_detections": tf.TensorSpec([], tf.int32),
        "valid": tf.TensorSpec([], tf.bool),
    }

    def one(contents):
        image, valid = decode_image(contents)

        def detect():
            outputs = serve_images(model, image[None], call)
            return {
                name: tf.ensure_shape(outputs[name][0], signature[name].shape) for name in signature
            }

        def nothing():
            outputs = {name: tf.zeros(spec.shape, spec.dtype) for name, spec in signature.items()}
            return {**outputs, "classes": tf.fill([count], -1)}

        return tf.cond(valid, detect, nothing)

    # One after the other: an image's convolutions use every core, and memory stays bounded.
    return tf.map_fn(one, image_bytes, fn_output_signature=signature, parallel_iterations=1)


def serve_images(model, images, call=None):
    """Detects in images of one size.

    Args:
        model: a `FasterRCNN`.
        images: uint8 tensor [B, H, W, 3], RGB.
        call: what computes the detections, as the model does; `None` for the model.

    Returns:
        dict of tensors as `export_saved_model` describes.
    """
    prepared, size = prepare_images(images, model.preprocessing)
    sizes = tf.tile(size[None], [tf.shape(images)[0], 1])
    inputs = {"images": prepared, "image_sizes": sizes}
    outputs = model(inputs, training=False) if call is None else call(inputs)
    original = tf.cast(tf.shape(images)[1:3], tf.float32)
    scale = tf.cast(size, tf.float32) / original
    boxes = outputs["boxes"] / tf.tile(scale[::-1], [2])
    boxes = tf.clip_by_value(boxes, 0.0, tf.tile(original[::-1], [2]))
    scores = outputs["scores"]
    # Weights or activations that overflow must not look like an answer.
    valid = tf.reduce_all(tf.math.is_finite(scores), axis=1) & tf.reduce_all(
        tf.math.is_finite(boxes), axis=[1, 2]
    )
    return {
        "boxes": tf.where(valid[:, None, None], boxes, 0.0),
        "scores": tf.where(valid[:, None], scores, 0.0),
        "classes": tf.where(valid[:, None], tf.cast(outputs["classes"], tf.int32), -1),
        "num_detections": tf.where(valid, tf.cast(outputs["num_detections"], tf.int32), 0),
        "valid": valid,
    }
