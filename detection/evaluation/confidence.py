"""Precision, recall and F1 of a detector by the confidence from which detections count."""

import numpy as np

from detection.evaluation.matches import match_image
from detection.evaluation.results import check_inputs

POINTS = 101


def confidence_curves(ground_truth, results, iou_threshold=0.5):
    """Precision, recall and F1 of every class for 101 least confidences from 0 to 1.

    Args:
        ground_truth: COCO-format dict. Crowd regions and difficult objects need not be found, and
            detections on them count neither as right nor as wrong.
        results: list of COCO results.
        iou_threshold: float. Least overlap of a right detection.

    Returns:
        A dict: `confidence`, the 101 confidences; `per_class`, a list in the order of the
        categories of dicts with `category_id`, `name`, `num_objects`, and `precision`, `recall`
        and `f1`, lists of 101 floats, or None without objects; `mean`, the three lists as means
        over the classes with objects, or None. Where no detection is left, precision is 1.

    Example:

    >>> truth = {
    ...     "images": [{"id": 1}],
    ...     "categories": [{"id": 1, "name": "cat"}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    ... }
    >>> found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.5}]
    >>> recall = confidence_curves(truth, found)["per_class"][0]["recall"]
    >>> recall[50], recall[51]
    (1.0, 0.0)
    """
    check_inputs(ground_truth, results)
    objects, detections = {}, {}
    for row in ground_truth["annotations"]:
        objects.setdefault(row["image_id"], []).append(row)
    for row in results:
        detections.setdefault(row["image_id"], []).append(row)
    judged = {row["id"]: [] for row in ground_truth["categories"]}  # (score, right)
    for image_id, rows in detections.items():
        found = sorted(rows, key=lambda row: -row["score"])
        verdicts = match_image(found, objects.get(image_id, []), iou_threshold)
        for row, right in zip(found, verdicts):
            if right is not None:
                judged[row["category_id"]].append((row["score"], right))
    counts = dict.fromkeys(judged, 0)
    for row in ground_truth["annotations"]:
        counts[row["category_id"]] += not (row.get("iscrowd") or row.get("difficult"))

    confidence = np.arange(POINTS) / (POINTS - 1)
    per_class = []
    for category in ground_truth["categories"]:
        count = counts[category["id"]]
        lines = (
            _lines(judged[category["id"]], count, confidence) if count else dict.fromkeys(_KINDS)
        )
        name = category.get("name", str(category["id"]))
        per_class.append(
            {"category_id": category["id"], "name": name, "num_objects": count, **lines}
        )
    with_objects = [row for row in per_class if row["num_objects"]]
    mean = None
    if with_objects:
        mean = {
            kind: np.mean([row[kind] for row in with_objects], axis=0).tolist() for kind in _KINDS
        }
    return {"confidence": confidence.tolist(), "per_class": per_class, "mean": mean}


_KINDS = ("precision", "recall", "f1")


def _lines(judged, count, confidence):
    scores = np.array([score for score, _ in judged], "float64")
    right = np.array([right for _, right in judged], "int64")
    order = np.argsort(scores)
    scores, right = scores[order], right[order]
    first = np.searchsorted(scores, confidence, side="left")
    found = len(scores) - first
    true = np.append(np.cumsum(right[::-1])[::-1], 0)[first]
    precision = np.where(found > 0, true / np.maximum(found, 1), 1.0)
    return {
        "precision": precision.tolist(),
        "recall": (true / count).tolist(),
        "f1": (2 * true / (found + count)).tolist(),
    }
