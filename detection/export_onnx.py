"""Export of a detector up to the final suppression, as an ONNX file."""

import numpy as np
from keras import ops

from detection import _tensorflow
from detection.boxes import clip_boxes
from detection.data.transforms import resize_bilinear, resized_size
from detection.export_check import MAX_BOX_DIFFERENCE, MAX_SCORE_DIFFERENCE, make_samples
from detection.export_facts import describe_model, refuse_views
from detection.load_image import load_image
from keras_resnet.inference_copy import fold_norms as fold
from keras_resnet.inference_copy import with_dtype
from keras_resnet.inference_graph import freeze
from keras_resnet.model_file import new_file, open_file, publish_file, write_file
from keras_resnet.saved_model import check_backend

MAX_UNPAIRED = 0.01  # of the regions: a rounding may let another proposal survive


def export_onnx(model, path, image_size=None, samples=None):
    """Writes a detector as an ONNX file: everything but the final suppression of duplicates.

    That step is short and each runtime has its own; `<path>.json` holds the thresholds of the
    model. The file is written aside, compared with the model on `samples` in ONNX Runtime, and
    only then renamed. It computes in float32, with norms folded into the convolutions.

    Inputs, of one image and of fixed size:

    - `images` float32 `[1, H, W, 3]`: RGB, 0..255, resized as `fit_image` does and padded with
      zeros at the bottom and right.
    - `image_sizes` int32 `[1, 2]`: height and width inside the padding.

    Outputs, of N regions and K classes:

    - `boxes` float32 `[1, N, K, 4]`: `(x1, y1, x2, y2)` in pixels of `images`, clipped to the
      image.
    - `scores` float32 `[1, N, K]`: 0 in rows that are padding.

    To finish, as the model itself: drop scores at or below `score_threshold`; of each class, best
    first, drop boxes whose IoU with a kept one is above `nms_threshold`; keep the best
    `max_detections` of all; divide boxes by the scale of the resizing. That is what the model finds
    in an image padded to this size. `model.detect` pads no more than it must; how far an image is
    padded changes features near its lower and right edge a little.

    Needs optional packages: `pip install 'keras-resnet-detection[onnx]'`.

    Args:
        model: a built `FasterRCNN`.
        path: file to write, `.onnx`.
        image_size: `(H, W)`, multiples of `size_divisor` of the preprocessing; `None` for the
            smallest square that holds every image it makes.
        samples: images to compare on, as for `model.detect`; `None` for three synthetic ones.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if the backend is not TensorFlow, a package is not installed, the model looks
            at several views of an image, `image_size` is no such size, `samples` is empty, the
            file exists, or regions differ by more than 0.5 pixel or 1e-3 in score (more than 1 %
            of them, whose proposals a rounding may exchange).

    Example:

    ```python
    path = export_onnx(model, "shapes.onnx", image_size=(128, 128))
    images, image_sizes = fit_image(load_image("photo.jpg"), model.preprocessing, (128, 128))
    session = onnxruntime.InferenceSession(path)
    boxes, scores = session.run(
        ["boxes", "scores"], {"images": images, "image_sizes": image_sizes}
    )
    ```
    """
    check_backend()
    path = new_file(path, (".onnx",))  # Refuses before any work is done.
    refuse_views(model)
    image_size = check_image_size(image_size, model.preprocessing)
    if model.compute_dtype != "float32":
        model = with_dtype(model, "float32")
    samples = make_samples(model.preprocessing) if samples is None else list(samples)
    if not samples:
        raise ValueError("At least one sample is needed for the comparison. Received: samples=[]")

    def make(file):
        _write(fold(model), file, image_size)
        check = compare_regions(model, open_file(file), samples, image_size)
        return {**describe_file(model, image_size), "self_check": check}

    return publish_file(path, make)


def check_image_size(image_size, preprocessing):
    """The size of the images of a file, checked.

    Args:
        image_size: `(H, W)`, or None for the default.
        preprocessing: as in `FasterRCNN`.

    Returns:
        `(H, W)`.

    Raises:
        ValueError: no multiples of the divisor, or None without a default.
    """
    divisor = preprocessing.get("size_divisor", 32)
    if image_size is None:
        if "max_side" not in preprocessing:
            raise ValueError(
                "The model does not say how large its images are: give `image_size`, "
                "(height, width). Received: image_size=None"
            )
        side = -(-preprocessing["max_side"] // divisor) * divisor
        return side, side
    sides = tuple(image_size)
    if len(sides) != 2 or any(int(s) != s or s < 1 or s % divisor for s in sides):
        raise ValueError(
            f"`image_size` must be (height, width), multiples of {divisor}. "
            f"Received: image_size={image_size!r}"
        )
    return int(sides[0]), int(sides[1])


def fit_image(image, preprocessing, image_size):
    """Resizes an image as the model does, or further if it would not fit, and pads it.

    Args:
        image: uint8 array `[H, W, 3]`, RGB.
        preprocessing: dict, as in `FasterRCNN` and in the JSON beside the file.
        image_size: `(height, width)` of the file's input.

    Returns:
        `(images, image_sizes)`: float32 `[1, height, width, 3]` and int32 `[1, 2]`. Boxes times
        `image.shape[:2] / image_sizes` are in pixels of the image.
    """
    size = image.shape[:2]
    if "min_side" in preprocessing:
        names = ("min_side", "max_side", "rounding")
        size = resized_size(*size, **{n: preprocessing[n] for n in names if n in preprocessing})
    if any(side > limit for side, limit in zip(size, image_size)):
        scale = min(limit / side for side, limit in zip(size, image_size))
        size = [min(max(int(s * scale), 1), limit) for s, limit in zip(size, image_size)]
    images = np.zeros((1, *image_size, 3), "float32")
    images[0, : size[0], : size[1]] = resize_bilinear(image, *size)
    return images, np.array([size], "int32")


def compare_regions(model, run, samples, image_size):
    """Compares the regions of a file with those of the model.

    Each region of the model is paired with the nearest one of the file.

    Args:
        model: the `FasterRCNN` that was exported, in float32.
        run: function as of `keras_resnet.model_file.open_file`.
        samples: list of images as for `model.detect`.
        image_size: `(height, width)`.

    Returns:
        dict for JSON: the numbers of images and regions compared, how many have no counterpart
        within the bounds, and the greatest differences of the others.

    Raises:
        ValueError: more than 1 % have none.
    """
    regions, unpaired, worst = 0, 0, np.zeros(2)
    for sample in samples:
        images, sizes = fit_image(load_image(sample), model.preprocessing, image_size)
        inputs = {"images": images, "image_sizes": sizes}
        boxes, scores = (np.asarray(value)[0] for value in _regions(model, inputs))
        found = run(inputs)
        real = scores.any(axis=-1)
        differences = _differences(boxes[real], scores[real], found["boxes"][0], found["scores"][0])
        close = (differences <= (MAX_BOX_DIFFERENCE, MAX_SCORE_DIFFERENCE)).all(axis=-1)
        regions, unpaired = regions + int(real.sum()), unpaired + int((~close).sum())
        worst = np.maximum(worst, differences[close].max(axis=0, initial=0.0))
    if unpaired > MAX_UNPAIRED * regions:
        raise ValueError(
            "The exported model does not answer as the model does, so it was not published: "
            f"{unpaired} of {regions} regions differ by more than {MAX_BOX_DIFFERENCE} pixel or "
            f"{MAX_SCORE_DIFFERENCE} in score. Received: {len(samples)} samples"
        )
    return {
        "images": len(samples),
        "regions": regions,
        "unpaired": unpaired,
        "max_box_difference": float(worst[0]),
        "max_score_difference": float(worst[1]),
    }


def _differences(boxes, scores, other_boxes, other_scores):
    """Greatest differences [R, 2] of boxes and scores from the nearest of other regions."""
    middles, others = boxes.mean(axis=1), other_boxes.mean(axis=1)
    found = np.full((len(boxes), 2), np.inf)
    for row, middle in enumerate(middles):
        near = int(np.argmin(np.abs(others - middle).max(axis=-1)))
        found[row] = (
            np.abs(other_boxes[near] - boxes[row]).max(),
            np.abs(other_scores[near] - scores[row]).max(),
        )
    return np.where(np.isfinite(found), found, np.inf)


def describe_file(model, image_size):
    """What whoever runs the file has to know, as plain data for JSON."""
    size, classes = f"{image_size[0]}, {image_size[1]}", len(model.categories)
    return {
        "format": "Faster R-CNN as ONNX of keras-resnet-detection, up to the final suppression",
        **describe_model(model),
        "image_size": list(image_size),
        "min_size": model.roi_heads.selection.min_size,
        "inputs": {
            "images": f"float32 [1, {size}, 3]: RGB, 0..255, resized, padded with zeros at the "
            "bottom and right",
            "image_sizes": "int32 [1, 2]: height and width inside the padding",
        },
        "outputs": {
            "boxes": f"float32 [1, N, {classes}, 4]: x1, y1, x2, y2 in pixels of images, clipped",
            "scores": f"float32 [1, N, {classes}]: of each class; 0 in rows that are padding",
        },
    }


def _regions(model, inputs):
    """Boxes `[B, N, K, 4]` and scores `[B, N, K]` as the file returns them."""
    boxes, scores, valid = model.candidates(inputs)
    batch, count, classes = scores.shape
    boxes = ops.broadcast_to(boxes, (batch, count, classes, 4))
    boxes = clip_boxes(ops.reshape(boxes, (batch, count * classes, 4)), inputs["image_sizes"])
    boxes = ops.reshape(boxes, (batch, count, classes, 4))
    return boxes, ops.where(ops.expand_dims(valid, -1), scores, 0.0)


def _write(model, file, image_size):
    import tensorflow as tf

    signature = {
        "images": tf.TensorSpec([1, *image_size, 3], tf.float32),
        "image_sizes": tf.TensorSpec([1, 2], tf.int32),
    }

    def function(images, image_sizes):
        boxes, scores = _regions(model, {"images": images, "image_sizes": image_sizes})
        return {"boxes": boxes, "scores": scores}

    with _tensorflow.without_sparse_kernels():
        call, _ = freeze(function, signature)
    write_file(call, signature, file)
