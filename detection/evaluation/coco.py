"""Average precision and recall of COCO, computed by pycocotools."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection.evaluation.results import check_inputs

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
RECALLS = ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def evaluate_coco(ground_truth, results, max_dets=(1, 10, 100), curves=False):
    """Computes COCO's twelve figures and the average precision of every class.

    The figures are pycocotools' own. A figure without ground truth to compute it from (no small
    objects, a class that does not occur, an empty data set) is -1.0, as pycocotools writes it;
    without detections the others are 0.0.

    Args:
        ground_truth: COCO-format dict. Image ids may be ints or strings. Missing `area` and
            `iscrowd` are taken as width times height and 0; the annotations' own ids are not
            used. It is not changed.
        results: list of COCO results, with the ids of the ground truth. It is not changed.
        max_dets: three ints. Detections of a class in an image that count: for the three average
            recalls, and the last also for everything else.
        curves: bool. Whether to add the precision-recall curves at IoU 0.5.

    Returns:
        A dict of floats `AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl` (the
        numbers after AR are those of `max_dets`) and `per_class`, a list in the order of the
        categories of dicts with `category_id`, `name`, `AP`, `AP50`, `num_objects` (without
        crowds) and `num_detections`. With `curves`, also `pr_curves`: `recall` (101 floats) and
        `per_class`, the list of `category_id`, `name`, `AP50` and `precision` (101 floats, or
        None without ground truth).

    Raises:
        ValueError: if a result names an image or category that the ground truth lacks, or a
            number is not finite.

    Reference:
        Lin et al., Microsoft COCO (arXiv:1405.0312); https://cocodataset.org/#detection-eval

    Example:

    >>> truth = {
    ...     "images": [{"id": "a.jpg"}],
    ...     "categories": [{"id": 18, "name": "dog"}],
    ...     "annotations": [
    ...         {"id": 1, "image_id": "a.jpg", "category_id": 18, "bbox": [5, 5, 40, 50]}
    ...     ],
    ... }
    >>> found = [{"image_id": "a.jpg", "category_id": 18, "bbox": [5, 5, 40, 50], "score": 0.9}]
    >>> round(evaluate_coco(truth, found)["AP"], 6)
    1.0
    """
    max_dets = tuple(max_dets)
    if len(max_dets) != 3 or sorted(set(max_dets)) != list(max_dets) or max_dets[0] < 1:
        raise ValueError(
            f"`max_dets` must be three rising positive numbers. Received: max_dets={max_dets}"
        )
    check_inputs(ground_truth, results)
    evaluation = _run(ground_truth, results, max_dets)
    metrics = _figures(evaluation, max_dets)
    metrics["per_class"] = _per_class(evaluation, ground_truth, results)
    if curves:
        metrics["pr_curves"] = _curves(evaluation, metrics["per_class"])
    return metrics


def _run(ground_truth, results, max_dets):
    # pycocotools reads an annotation id of 0 as "unmatched", cannot sort ids of mixed types and
    # writes into what it is given: so it gets copies with ids of its own liking.
    ordered = sorted(ground_truth["images"], key=lambda row: (str(type(row["id"])), row["id"]))
    image_ids = {row["id"]: index for index, row in enumerate(ordered, start=1)}
    annotations = []
    for index, row in enumerate(ground_truth["annotations"], start=1):
        width, height = row["bbox"][2:]
        annotations.append(
            {
                "id": index,
                "image_id": image_ids[row["image_id"]],
                "category_id": row["category_id"],
                "bbox": list(row["bbox"]),
                "area": row.get("area", width * height),
                "iscrowd": int(row.get("iscrowd", 0)),
            }
        )
    detections = [
        {
            "image_id": image_ids[row["image_id"]],
            "category_id": row["category_id"],
            "bbox": list(row["bbox"]),
            "score": row["score"],
        }
        for row in results
    ]
    images = [{"id": index} for index in image_ids.values()]
    categories = [{"id": row["id"]} for row in ground_truth["categories"]]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _index(images, annotations, categories)
        # `loadRes` cannot read an empty list.
        found = truth.loadRes(detections) if detections else _index(images, [], categories)
        evaluation = COCOeval(truth, found, iouType="bbox")
        evaluation.params.maxDets = list(max_dets)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _index(images, annotations, categories):
    coco = COCO()
    coco.dataset = {"images": images, "annotations": annotations, "categories": categories}
    coco.createIndex()
    return coco


def _figures(evaluation, max_dets):
    """The twelve figures, for any `max_dets`: `summarize` knows only 100 for its first."""
    precision = evaluation.eval["precision"]  # [IoU, recall, class, area, max_dets]
    recall = evaluation.eval["recall"]  # [IoU, class, area, max_dets]
    thresholds = evaluation.params.iouThrs
    at_50, at_75 = (int(np.argmin(np.abs(thresholds - t))) for t in (0.5, 0.75))
    values = {
        "AP": precision[:, :, :, 0, -1],
        "AP50": precision[at_50, :, :, 0, -1],
        "AP75": precision[at_75, :, :, 0, -1],
        "APs": precision[:, :, :, 1, -1],
        "APm": precision[:, :, :, 2, -1],
        "APl": precision[:, :, :, 3, -1],
    }
    values |= {f"AR{count}": recall[:, :, 0, index] for index, count in enumerate(max_dets)}
    values |= {f"AR{size}": recall[:, :, index, -1] for index, size in enumerate("sml", start=1)}
    return {name: _mean(value) for name, value in values.items()}


def _per_class(evaluation, ground_truth, results):
    objects, detections = {}, {}
    for row in ground_truth["annotations"]:
        if not row.get("iscrowd"):
            objects[row["category_id"]] = objects.get(row["category_id"], 0) + 1
    for row in results:
        detections[row["category_id"]] = detections.get(row["category_id"], 0) + 1
    column = {key: index for index, key in enumerate(evaluation.params.catIds)}
    table = []
    for category in ground_truth["categories"]:
        key = category["id"]
        precision = evaluation.eval["precision"][:, :, column[key], 0, -1]
        table.append(
            {
                "category_id": key,
                "name": category.get("name", str(key)),
                "AP": _mean(precision),
                "AP50": _mean(precision[0]),
                "num_objects": objects.get(key, 0),
                "num_detections": detections.get(key, 0),
            }
        )
    return table


def _curves(evaluation, per_class):
    column = {key: index for index, key in enumerate(evaluation.params.catIds)}
    table = []
    for row in per_class:
        precision = evaluation.eval["precision"][0, :, column[row["category_id"]], 0, -1]
        exists = bool((precision > -1).all())
        table.append(
            {
                "category_id": row["category_id"],
                "name": row["name"],
                "AP50": row["AP50"],
                "precision": precision.tolist() if exists else None,
            }
        )
    return {"recall": evaluation.params.recThrs.tolist(), "per_class": table}


def _mean(values):
    """pycocotools' mean: entries without ground truth are -1 and do not count."""
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0
