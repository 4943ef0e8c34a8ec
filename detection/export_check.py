"""Comparison of an exported detector with the model it comes from."""

import io

import numpy as np
from PIL import Image

from detection.load_image import load_image

MAX_BOX_DIFFERENCE = 0.5  # pixels
MAX_SCORE_DIFFERENCE = 1e-3


def make_samples(preprocessing):
    """Three synthetic images of different sizes and shapes, the same at every call.

    Args:
        preprocessing: as in `FasterRCNN`; the images are about of its `min_side`.

    Returns:
        List of uint8 arrays [H, W, 3].
    """
    generator = np.random.default_rng(0)
    side = preprocessing.get("min_side", 256)
    samples = []
    for height, width in ((1.0, 1.25), (0.8, 0.6), (0.5, 1.1)):
        height, width = max(int(side * height), 8), max(int(side * width), 8)
        image = generator.integers(0, 256, (6, 8, 3), dtype="uint8")
        image = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
        for _ in range(6):  # rectangles, for something to detect
            y, x = generator.integers(0, height), generator.integers(0, width)
            size = generator.integers(4, max(side // 2, 5), 2)
            image[y : y + size[0], x : x + size[1]] = generator.integers(0, 256, 3)
        samples.append(image)
    return samples


def check_export(model, folder, samples):
    """Compares both signatures of a SavedModel with `model.detect`.

    Args:
        model: the `FasterRCNN` that was exported.
        folder: where the SavedModel is.
        samples: list of images as for `model.detect`.

    Returns:
        dict for JSON: the numbers of images and detections compared, and the greatest
        differences of boxes in pixels and of scores.

    Raises:
        ValueError: if detections differ by more than 0.5 pixel or 1e-3 in score.
    """
    import tensorflow as tf

    signatures = tf.saved_model.load(str(folder)).signatures
    images = [load_image(sample) for sample in samples]
    expected = [model.detect(image) for image in images]
    batch = signatures["serving_default"](image_bytes=tf.constant([_png(i) for i in images]))
    served = [
        ("serving_default", i, {k: v[i].numpy() for k, v in batch.items()})
        for i in range(len(images))
    ]
    for i, image in enumerate(images):
        outputs = signatures["serve_images"](images=tf.constant(image[None]))
        served.append(("serve_images", i, {k: v[0].numpy() for k, v in outputs.items()}))

    selection = model.roi_heads.selection
    worst = np.zeros(2)
    for signature, index, outputs in served:
        difference = compare(
            expected[index], outputs, selection.score_threshold, selection.max_detections
        )
        worst = np.maximum(worst, difference)
        if difference[0] > MAX_BOX_DIFFERENCE or difference[1] > MAX_SCORE_DIFFERENCE:
            raise ValueError(
                "The exported model does not answer as the model does, so it was not published: "
                f"signature {signature!r} differs by {difference[0]:.3g} pixels and "
                f"{difference[1]:.3g} in score, more than {MAX_BOX_DIFFERENCE} and "
                f"{MAX_SCORE_DIFFERENCE} (inf: a detection without counterpart). "
                f"Received: sample {index}, {len(expected[index])} detections of the model "
                f"and {int(outputs['num_detections'])} of the export"
            )
    return {
        "images": len(images),
        "detections": sum(len(found) for found in expected),
        "max_box_difference": float(worst[0]),
        "max_score_difference": float(worst[1]),
    }


def compare(expected, outputs, score_threshold, max_detections):
    """The greatest differences between the detections of one image.

    Each expected detection, best first, is paired with the most similar served one of its class
    that is left. One without a partner counts, unless rounding explains it: its score is that of
    the threshold, or of the last of `max_detections`.

    Args:
        expected: a `Detections`.
        outputs: dict of arrays, the row of one image.
        score_threshold: float, the model's.
        max_detections: int, the model's.

    Returns:
        `(pixels, score)`; infinite if there is nothing to compare a detection with.
    """
    count = int(outputs["num_detections"])
    boxes, scores, classes = (outputs[k][:count] for k in ("boxes", "scores", "classes"))
    floor = score_threshold
    for found in (scores, expected.scores):
        if len(found) == max_detections:
            floor = max(floor, found[-1])
    free = np.ones(count, bool)
    worst = np.zeros(2)
    for box, score, index in zip(expected.boxes, expected.scores, expected.classes):
        differences = np.stack([np.abs(boxes - box).max(axis=-1), np.abs(scores - score)], axis=-1)
        differences[~free | (classes != index)] = np.inf
        unlike = (differences / (MAX_BOX_DIFFERENCE, MAX_SCORE_DIFFERENCE)).max(axis=-1)
        best = int(np.argmin(unlike)) if count else None
        difference = np.full(2, np.inf) if best is None else differences[best]
        alike = best is not None and unlike[best] <= 1.0
        if not alike and score <= floor + MAX_SCORE_DIFFERENCE:
            continue
        if best is not None:
            free[best] = False
        worst = np.maximum(worst, difference)
    if np.any(scores[free] > floor + MAX_SCORE_DIFFERENCE):
        worst = np.maximum(worst, [0.0, float(scores[free].max() - floor)])
    return float(worst[0]), float(worst[1])


def _png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
