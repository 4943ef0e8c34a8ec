"""Export of a detector for TensorFlow Serving."""

import importlib.metadata
import json
import os
import shutil
import tempfile
from pathlib import Path

import keras

from detection.export_check import check_export, make_samples
from detection.multi_view import augmentation_of
from keras_resnet.export import fold_norms as fold
from keras_resnet.export import with_dtype

METADATA_FILE = "detector.json"


def export_saved_model(model, path, version=None, samples=None, fold_norms=True):
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
    `[B]`: False, with no detections, for bytes that do not decode. Names of the classes and these
    conventions are in `assets/detector.json`.

    The exported model computes in float32, also if the model was trained in 16 bits: its weights
    are float32, and answers then do not depend on the server's processor.

    Args:
        model: a built `FasterRCNN`.
        path: folder of the served model; its last part is the name clients know it by.
        version: int above 0; `None` for one more than the greatest in `path`.
        samples: images to compare on, as for `model.detect`; `None` for three synthetic ones.
            Real images on which something is detected make the better check.
        fold_norms: bool, fold batch norms into the convolutions before them, which is faster.

    Returns:
        The folder `<path>/<version>`, a `pathlib.Path`.

    Raises:
        ValueError: if the backend is not TensorFlow, the model looks at several views of an image
            (`test_time`), `samples` is empty, the version exists or is not an int above 0, or the
            exported detections differ by more than 0.5 pixel or 1e-3 in score.

    Example:

    ```python
    folder = export_saved_model(model, "served/shapes")
    served = tf.saved_model.load(folder).signatures["serving_default"]
    served(image_bytes=tf.constant([open("photo.jpg", "rb").read()]))["boxes"]
    ```
    """
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel is written by the TensorFlow backend: run this again with the "
            "environment variable KERAS_BACKEND=tensorflow. "
            f"Received: backend {keras.config.backend()!r}"
        )
    if augmentation_of(model) is not None:
        raise ValueError(
            "A served model looks at an image once: test-time augmentation cannot be exported. "
            "Load the model without it, detection.load(run, overrides=['test_time=null']), or pass "
            "--set model.test_time=null to scripts/export_saved_model.py. "
            f"Received: model.test_time={model.architecture['test_time']}"
        )
    path = Path(path)
    _target(path, version)  # Refuses before any work is done.
    if model.compute_dtype != "float32":
        model = with_dtype(model, "float32")
    samples = make_samples(model.preprocessing) if samples is None else list(samples)
    if not samples:
        raise ValueError("At least one sample is needed for the comparison. Received: samples=[]")

    path.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".export-", dir=path))
    try:
        aside.chmod(0o755)  # mkdtemp makes private folders.
        _write(fold(model) if fold_norms else model, aside)
        self_check = check_export(model, aside, samples)
        target = _target(path, version)  # Another process may have taken it in the meantime.
        metadata = {
            "version": int(target.name),
            **describe(model),
            "norms_folded": bool(fold_norms),
            "self_check": self_check,
        }
        assets = aside / "assets"
        assets.mkdir(exist_ok=True)
        (assets / METADATA_FILE).write_text(json.dumps(metadata, indent=2) + "\n")
        os.rename(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def _target(path, version):
    """The folder of a version, which does not exist."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"`path` must be a folder. Received: path={str(path)!r}, a file")
    if version is None:
        present = [int(p.name) for p in path.glob("*") if p.name.isdecimal()]
        return path / str(max(present, default=0) + 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"`version` must be an int above 0. Received: version={version!r}")
    target = path / str(version)
    if target.exists():
        raise ValueError(
            f"{target} exists and is never overwritten: give another `version`, or none for the "
            f"next free one. Received: version={version}"
        )
    return target


def _write(model, folder):
    import tensorflow as tf

    from detection.serving import serve_bytes, serve_images

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        lambda image_bytes: serve_bytes(model, image_bytes),
        input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")],
    )
    archive.add_endpoint(
        "serve_images",
        lambda images: serve_images(model, images),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")],
    )
    archive.write_out(str(folder), verbose=False)


def describe(model):
    """What a client of an exported model has to know, as plain data for JSON."""
    return {
        "format": "Faster R-CNN SavedModel of keras-resnet-detection",
        "package_version": importlib.metadata.version("keras-resnet-detection"),
        "categories": [dict(category) for category in model.categories],
        "class_names": list(model.class_names),
        "preprocessing": dict(model.preprocessing),
        "max_detections": model.roi_heads.selection.max_detections,
        "score_threshold": model.roi_heads.selection.score_threshold,
        "nms_threshold": model.roi_heads.selection.nms_threshold,
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
            "valid": "bool [B]: false, with no detections, if the image did not decode",
        },
    }
