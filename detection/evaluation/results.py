"""Detections in COCO's results format, and the checks every evaluator needs."""

import math

import numpy as np


def to_coco_results(image_id, boxes, scores, classes, category_ids):
    """Turns the detections of one image into COCO results.

    Rows whose class is -1 are padding and are left out, so the model's fixed-size output can be
    passed as it is once its boxes are in the pixels of the original image.

    Args:
        image_id: int or str. The id of the image in its data set.
        boxes: float array `[D, 4]`, `(x1, y1, x2, y2)` in pixels of the original image.
        scores: float array `[D]`.
        classes: int array `[D]`, contiguous classes `0..K-1`, -1 for padding.
        category_ids: sequence of K ints. The data set's own id of every contiguous class.

    Returns:
        A list of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}` with plain
        Python numbers, ready for JSON and for pycocotools.

    Raises:
        ValueError: if the arrays differ in length or a class has no category id.

    Example:

    >>> to_coco_results(7, [[1, 2, 4, 6]], [0.5], [0], category_ids=[18])
    [{'image_id': 7, 'category_id': 18, 'bbox': [1.0, 2.0, 3.0, 4.0], 'score': 0.5}]
    """
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    scores = np.asarray(scores, "float64").reshape(-1)
    classes = np.asarray(classes, "int64").reshape(-1)
    if not len(boxes) == len(scores) == len(classes):
        raise ValueError(
            "`boxes`, `scores` and `classes` must describe the same detections. "
            f"Received: {len(boxes)} boxes, {len(scores)} scores, {len(classes)} classes"
        )
    if len(classes) and classes.max() >= len(category_ids):
        raise ValueError(
            "Every class needs an entry in `category_ids`. "
            f"Received: class {classes.max()} with {len(category_ids)} category ids"
        )
    image_id = plain(image_id)
    results = []
    for (x1, y1, x2, y2), score, index in zip(boxes.tolist(), scores.tolist(), classes.tolist()):
        if index < 0:
            continue
        results.append(
            {
                "image_id": image_id,
                "category_id": plain(category_ids[index]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
            }
        )
    return results


def plain(value):
    """A NumPy scalar as the Python object that JSON and dict look-ups expect."""
    return value.item() if isinstance(value, np.generic) else value


def check_inputs(ground_truth, results):
    """Refuses ground truth or results that an evaluator would misread in silence.

    pycocotools ignores detections of categories it does not know, which turns shifted category
    ids into an AP of zero without a word; and a NaN score sorts anywhere.

    Args:
        ground_truth: COCO-format dict with `images`, `annotations` and `categories`.
        results: list of COCO results.

    Raises:
        ValueError: naming the first image, category or box that is wrong.
    """
    missing = [key for key in ("images", "annotations", "categories") if key not in ground_truth]
    if missing:
        raise ValueError(
            "`ground_truth` must be a COCO-format dict with the lists images, annotations and "
            f"categories. Received: a dict without {', '.join(missing)}"
        )
    image_ids = _unique_ids(ground_truth["images"], "images")
    category_ids = _unique_ids(ground_truth["categories"], "categories")
    for kind, rows in (("annotation", ground_truth["annotations"]), ("result", results)):
        for row in rows:
            where = f"{kind} of image {row.get('image_id')!r}"
            if row["image_id"] not in image_ids:
                raise ValueError(
                    f"Every {kind} must be of an image in the ground truth; the ids must also "
                    f"have the same type. Received: image_id={row['image_id']!r}"
                )
            if row["category_id"] not in category_ids:
                raise ValueError(
                    f"The {where} has a category the ground truth lacks; use the data set's own "
                    f"category ids. Received: category_id={row['category_id']!r}"
                )
            box = row["bbox"]
            if len(box) != 4 or not all(math.isfinite(value) for value in box):
                raise ValueError(
                    f"The bbox of a {where} must be four finite numbers [x, y, width, height]. "
                    f"Received: bbox={box}"
                )
            if kind == "result" and not math.isfinite(row["score"]):
                raise ValueError(
                    f"The score of a {where} must be finite. Received: score={row['score']}"
                )


def _unique_ids(rows, name):
    ids = {row["id"] for row in rows}
    if len(ids) != len(rows):
        raise ValueError(
            f"The ids of the {name} must be unique. "
            f"Received: {len(rows)} {name} with {len(ids)} different ids"
        )
    return ids
