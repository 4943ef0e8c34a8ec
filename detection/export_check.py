"""Comparison of an exported detector with the model it comes from."""

import io

import numpy as np
from PIL import Image

from detection.load_image import load_image

MAX_BOX_DIFFERENCE = 0.5  # pixels
MAX_SCORE_DIFFERENCE = 1e-3
# In 16 bits: of scores, of 1 and the IoU of boxes, and as share of detections without counterpart.
MAX_DIFFERENCE_16_BITS = 0.2
_MIN_IOU = 0.5  # of what counts as the same object


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


def choose_tolerance(dtype, tolerance=None):
    """What an export in 16 bits may differ by; None for one in float32, whose bounds are fixed.

    Raises:
        ValueError: another dtype, a tolerance outside 0..1 or in float32.
    """
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"`dtype` must be 'float32' or 'bfloat16'. Received: dtype={dtype!r}")
    if dtype == "float32":
        if tolerance is not None:
            raise ValueError(
                "`tolerance` is for bfloat16; in float32 an export answers as the model does. "
                f"Received: tolerance={tolerance}"
            )
        return None
    if tolerance is None:
        return MAX_DIFFERENCE_16_BITS
    if not 0 < tolerance < 1:
        raise ValueError(f"`tolerance` must be between 0 and 1. Received: tolerance={tolerance}")
    return tolerance


def check_export(model, folder, samples, tolerance=None):
    """Compares both signatures of a SavedModel with `model.detect`.

    Args:
        model: the `FasterRCNN` that was exported, in float32.
        folder: where the SavedModel is.
        samples: list of images as for `model.detect`.
        tolerance: float for an export in 16 bits, None for one in float32.

    Returns:
        dict for JSON: the numbers of images and detections compared, and the greatest
        differences of boxes in pixels and of scores. In 16 bits of detections paired by overlap,
        with the least IoU of a pair, the mean differences, and how many have no counterpart.

    Raises:
        ValueError: if detections differ by more than 0.5 pixel or 1e-3 in score; in 16 bits, by
            more than `tolerance`.
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

    counts = {"images": len(images), "detections": sum(len(found) for found in expected)}
    selection = model.roi_heads.selection
    if tolerance is not None:
        pairs = [(expected[index], outputs) for _, index, outputs in served]
        return {**counts, "tolerance": tolerance, **_check_pairs(pairs, selection, tolerance)}
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
        **counts,
        "max_box_difference": float(worst[0]),
        "max_score_difference": float(worst[1]),
    }


def _check_pairs(pairs, selection, tolerance):
    """Compares detections of 16 bits with those of float32; see `check_export`."""
    boxes, scores, ious, unmatched, total = [], [], [], 0, 0
    for expected, outputs in pairs:
        found = pair(
            expected, outputs, selection.score_threshold, selection.max_detections, tolerance
        )
        boxes, scores = boxes + found["boxes"], scores + found["scores"]
        ious, unmatched = ious + found["ious"], unmatched + found["unmatched"]
        total += found["unmatched"] + len(found["ious"])
    figures = {
        "pairs": len(ious),
        "unmatched": unmatched,
        "max_box_difference": max(boxes, default=0.0),
        "mean_box_difference": float(np.mean(boxes)) if boxes else 0.0,
        "min_iou": min(ious, default=1.0),
        "max_score_difference": max(scores, default=0.0),
        "mean_score_difference": float(np.mean(scores)) if scores else 0.0,
    }
    share = unmatched / max(total, 1)
    worst = max(share, 1.0 - figures["min_iou"], figures["max_score_difference"])
    if worst > tolerance:
        raise ValueError(
            "In bfloat16 the exported model does not answer as the model does, so it was not "
            f"published: {unmatched} of {total} detections have no counterpart, boxes of the "
            f"others overlap by an IoU of {figures['min_iou']:.3f} at least (up to "
            f"{figures['max_box_difference']:.3g} pixels), scores differ by up to "
            f"{figures['max_score_difference']:.3g}. Compare on images of the kind it was trained "
            "on (`samples`), export in float32, or if this is acceptable, pass a greater "
            f"`tolerance`. Received: tolerance={tolerance}"
        )
    return figures


def pair(expected, outputs, score_threshold, max_detections, tolerance):
    """Pairs the detections of one image by overlap.

    Each expected detection, best first, is paired with the free served one of its class that it
    overlaps most, by an IoU of 0.5 at least. Of those without a counterpart, on either side, the
    ones count whose score is above that of the threshold, or of the last of `max_detections`, by
    more than the tolerance: below, a change within it lets them come or go.

    Args:
        expected: a `Detections`.
        outputs: dict of arrays, the row of one image.
        score_threshold: float, the model's.
        max_detections: int, the model's.
        tolerance: float, of scores.

    Returns:
        dict with the lists `boxes` (greatest difference of coordinates, pixels), `scores`
        (differences) and `ious` of the pairs, and the int `unmatched`.
    """
    boxes, scores, classes, floor = _served(outputs, expected, score_threshold, max_detections)
    free = np.ones(len(boxes), bool)
    found = {"boxes": [], "scores": [], "ious": [], "unmatched": 0}
    for box, score, index in zip(expected.boxes, expected.scores, expected.classes):
        ious = np.where(free & (classes == index), _ious(box, boxes), 0.0)
        best = int(np.argmax(ious)) if len(ious) else None
        if best is None or ious[best] < _MIN_IOU:
            found["unmatched"] += int(score > floor + tolerance)
            continue
        free[best] = False
        found["boxes"].append(float(np.abs(boxes[best] - box).max()))
        found["scores"].append(float(abs(scores[best] - score)))
        found["ious"].append(float(ious[best]))
    found["unmatched"] += int((scores[free] > floor + tolerance).sum())
    return found


def _served(outputs, expected, score_threshold, max_detections):
    """Boxes, scores and classes of an image, and the score that rounding lifts them over."""
    count = int(outputs["num_detections"])
    boxes, scores, classes = (outputs[k][:count] for k in ("boxes", "scores", "classes"))
    floor = score_threshold
    for found in (scores, expected.scores):
        if len(found) == max_detections:
            floor = max(floor, found[-1])
    return boxes, scores, classes, floor


def _ious(box, boxes):
    """IoU of one box [4] with others [N, 4]; 0 where both are empty."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.maximum(high - low, 0.0).prod(axis=-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) + (box[2:] - box[:2]).prod()
    return common / np.maximum(areas - common, 1e-9)


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
    boxes, scores, classes, floor = _served(outputs, expected, score_threshold, max_detections)
    count = len(boxes)
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
