"""Requests that TensorFlow Serving answers before it says that a model is ready."""

import io

import numpy as np
from PIL import Image

FILE = "assets.extra/tf_serving_warmup_requests"

# Fields of `PredictionLog` in tensorflow_serving/apis/prediction_log.proto and of what it holds.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _INPUTS = 6, 1, 1, 2
_NAME, _SIGNATURE_NAME = 1, 3  # of ModelSpec
_KEY, _VALUE = 1, 2  # of an entry of a map


def write_warmup(folder, name, images):
    """Writes images as warm-up requests of `serving_default(image_bytes)`.

    A model's first answers take longest: TensorFlow prepares what it computes with when it is
    first used. The server has done that for these images when it says that it is ready, so they
    should be of the sizes that it will be asked about.

    Args:
        folder: `pathlib.Path` of the SavedModel.
        name: str, the name that the server knows the model by.
        images: list of uint8 arrays `[H, W, 3]`, 1000 at most.

    Raises:
        ValueError: more images than the server takes.
    """
    import tensorflow as tf

    if len(images) > 1000:
        raise ValueError(
            "TensorFlow Serving takes 1000 warm-up requests at most: give fewer samples. "
            f"Received: {len(images)} images"
        )
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image in images:
            file = io.BytesIO()
            Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG")
            tensor = tf.make_tensor_proto([file.getvalue()], tf.string).SerializeToString()
            writer.write(_log(name, "serving_default", {"image_bytes": tensor}))


def _log(name, signature, inputs):
    """A `PredictionLog` in the wire format; the package with its classes is not needed for it."""
    spec = _field(_NAME, name.encode()) + _field(_SIGNATURE_NAME, signature.encode())
    request = _field(_MODEL_SPEC, spec)
    for key, value in inputs.items():
        request += _field(_INPUTS, _field(_KEY, key.encode()) + _field(_VALUE, value))
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _field(number, data):
    """A field of bytes, a text or a message: its key, its length, and what it holds."""
    length, size = b"", len(data)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data
