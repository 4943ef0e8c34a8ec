"""Export of a detector for TensorFlow Serving."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detection.export_check import check_export, choose_tolerance, make_samples
from detection.export_facts import describe_model, refuse_views
from detection.faster_rcnn import FasterRCNN
from detection.load_image import load_image
from detection.served import METADATA_FILE
from keras_resnet.inference_copy import fold_norms as fold
from keras_resnet.inference_copy import with_dtype
from keras_resnet.inference_graph import SPATIAL, freeze
from keras_resnet.saved_model import check_backend, next_folder, publish, write
from keras_resnet.warmup import write_warmup


def export_saved_model(
    model: FasterRCNN,
    path: str | os.PathLike[str],
    version: int | None = None,
    samples: Sequence[Any] | None = None,
    fold_norms: bool = True,
    dtype: str = "float32",
    tolerance: float | None = None,
    constant: bool | str = SPATIAL,
    warmup: bool = False,
) -> Path:
    """Writes a detector as a SavedModel that any TensorFlow process can serve.

    The folder `<path>/<version>` has the layout of TensorFlow Serving and needs neither this
    package nor Keras. It is written aside, compared with `model.detect` on `samples`, and only
    then renamed, so that it is either complete and right or not there. Two signatures:

    - `serving_default(image_bytes: string [B])`: JPEG or PNG files, of different sizes in one
      batch, turned as their EXIF orientation says. Each is detected by itself, so its answer does
      not depend on the rest of the batch.
    - `serve_images(images: uint8 [B, H, W, 3])`: RGB images of one size.

    Both resize as `model.preprocessing` says and return `boxes` float32 `[B, D, 4]` as
    `(x1, y1, x2, y2)` in pixels of the original image, `scores` float32 `[B, D]`, best first,
    `classes` int32 `[B, D]` with -1 for padding, `num_detections` int32 `[B]`, and `valid` bool
    `[B]`: False, with no detections, for bytes that do not decode and for answers that are not
    finite numbers. Names of the classes and these conventions are in `assets/detector.json`.

    The exported model computes in float32, also if the model was trained in 16 bits: its weights
    are float32, and answers then do not depend on the server's processor. `dtype="bfloat16"` lets
    backbone, pyramid and heads compute in 16 bits, much faster on processors that have the
    instructions; scores, boxes and their suppression stay in float32. Its detections are not quite
    those of the model: of nearly equal scores another may come first. So they are paired by
    overlap, and what is written of their differences in `assets/detector.json` is the accuracy of
    this model on the samples.

    Args:
        model: a built `FasterRCNN`.
        path: folder of the served model; its last part is the name clients know it by.
        version: int above 0; `None` for one more than the greatest in `path`.
        samples: images to compare on, as for `model.detect`; `None` for three synthetic ones.
            Real images on which something is detected make the better check.
        fold_norms: bool, fold batch norms into the convolutions before them, which is faster.
        dtype: `"float32"` or `"bfloat16"`.
        tolerance: for bfloat16, what is accepted as difference from the model in float32: of the
            scores of a pair, of 1 and the IoU of its boxes, and as the share of detections without
            a counterpart. `None` for 0.2.
        constant: which weights are constants of the graph instead of variables: `"spatial"`, the
            3x3 kernels of up to a million numbers, which makes large images a fifth faster; True,
            all, or False, none. To load constants TensorFlow takes some twenty times their size
            in memory.
        warmup: bool, write the samples as requests that TensorFlow Serving answers before it says
            that the model is ready; see `keras_resnet.warmup`.

    Returns:
        The folder `<path>/<version>`, a `pathlib.Path`.

    Raises:
        ValueError: if the backend is not TensorFlow, the model looks at several views of an image
            (`test_time`), `samples` is empty, the version exists or is not an int above 0, or the
            exported detections differ by more than 0.5 pixel or 1e-3 in score (in bfloat16, by more
            than `tolerance`).

    Example:

    ```python
    folder = export_saved_model(model, "served/shapes")
    served = tf.saved_model.load(folder).signatures["serving_default"]
    served(image_bytes=tf.constant([open("photo.jpg", "rb").read()]))["boxes"]
    ```
    """
    check_backend()
    tolerance = choose_tolerance(dtype, tolerance)
    refuse_views(model)
    next_folder(path, version)  # Refuses before any work is done.
    if model.compute_dtype != "float32":
        model = with_dtype(model, "float32")
    samples = make_samples(model.preprocessing) if samples is None else list(samples)
    if not samples:
        raise ValueError("At least one sample is needed for the comparison. Received: samples=[]")

    def make(folder):
        exported = model if dtype == "float32" else with_dtype(model, "mixed_bfloat16")
        _write(fold(exported) if fold_norms else exported, folder, constant)
        if warmup:
            write_warmup(folder, Path(path).name, [load_image(sample) for sample in samples])
        return {
            **describe(model),
            "norms_folded": bool(fold_norms),
            "dtype": dtype,
            "constant_weights": constant,
            "warmup_requests": len(samples) if warmup else 0,
            "self_check": check_export(model, folder, samples, tolerance),
        }

    return publish(path, version, make, METADATA_FILE)


def _write(model, folder, constant):
    import tensorflow as tf

    from detection.serving import serve_bytes, serve_images

    signature = {
        "images": tf.TensorSpec([None, None, None, 3], tf.float32),
        "image_sizes": tf.TensorSpec([None, 2], tf.int32),
    }
    call, variables = freeze(
        lambda images, image_sizes: model(
            {"images": images, "image_sizes": image_sizes}, training=False
        ),
        signature,
        constant,
    )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serving_default(image_bytes):
        return serve_bytes(model, image_bytes, call)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    def images_of_one_size(images):
        return serve_images(model, images, call)

    signatures = {"serving_default": serving_default, "serve_images": images_of_one_size}
    write(folder, signatures, variables)


def describe(model):
    """What a client of an exported model has to know, as plain data for JSON."""
    return {
        "format": "Faster R-CNN SavedModel of keras-resnet-detection",
        **describe_model(model),
        "signatures": {
            "serving_default": {
                "image_bytes": "string [B]: JPEG or PNG files of any sizes; "
                "their EXIF orientation is applied"
            },
            "serve_images": {"images": "uint8 [B, H, W, 3]: RGB images of one size"},
        },
        "outputs": {
            "boxes": "float32 [B, D, 4]: x1, y1, x2, y2 in pixels of the original image "
            "(after EXIF orientation), continuous: width = x2 - x1; padded with 0",
            "scores": "float32 [B, D]: best first, padded with 0",
            "classes": "int32 [B, D]: index into class_names and categories, padded with -1",
            "num_detections": "int32 [B]: how many of the D are detections",
            "valid": "bool [B]: false, with no detections, if the image did not decode or the "
            "answer was not finite",
        },
    }
