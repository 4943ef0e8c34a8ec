"""Which class was taken for which: the confusion matrix of a detector."""

import numpy as np

from detection.evaluation.overlap import overlaps as overlaps_of
from detection.evaluation.results import check_inputs


def confusion_matrix(ground_truth, results, iou_threshold=0.5, score_threshold=0.25):
    """Counts how objects were classified, missed and invented.

    Within an image, detections choose in order of their score, each the free object of any class
    that it overlaps most. Crowd regions and difficult objects need not be found, and detections
    that have no free object but lie on one of those are left out.

    Args:
        ground_truth: COCO-format dict.
        results: list of COCO results.
        iou_threshold: float. Least overlap of a match (with a crowd: least share inside it).
        score_threshold: float. Detections below this score are left out.

    Returns:
        int64 array `[K + 1, K + 1]`: rows are the true classes in the order of the categories,
        columns the predicted ones; the last row counts detections of background, the last column
        objects not found.

    Example:

    >>> truth = {
    ...     "images": [{"id": 1}],
    ...     "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    ... }
    >>> found = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], "score": 0.9}]
    >>> confusion_matrix(truth, found).tolist()
    [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    check_inputs(ground_truth, results)
    background = len(ground_truth["categories"])
    class_of = {row["id"]: index for index, row in enumerate(ground_truth["categories"])}
    objects, detections = {}, {}
    for row in ground_truth["annotations"]:
        objects.setdefault(row["image_id"], []).append(row)
    for row in results:
        if row["score"] >= score_threshold:
            detections.setdefault(row["image_id"], []).append(row)

    matrix = np.zeros((background + 1, background + 1), "int64")
    for image_id in objects.keys() | detections.keys():
        truth = objects.get(image_id, [])
        found = sorted(detections.get(image_id, []), key=lambda row: -row["score"])
        ignored = np.array([_is_ignored(row) for row in truth], bool)
        overlap = overlaps_of(found, truth)
        free = ~ignored
        for row, overlaps in zip(found, overlap):
            predicted = class_of[row["category_id"]]
            candidates = np.where(free, overlaps, -1.0)
            if candidates.max(initial=-1.0) >= iou_threshold:
                match = int(candidates.argmax())
                free[match] = False
                matrix[class_of[truth[match]["category_id"]], predicted] += 1
            elif not (overlaps[ignored] >= iou_threshold).any():
                matrix[background, predicted] += 1
        for index in np.flatnonzero(free):
            matrix[class_of[truth[index]["category_id"]], background] += 1
    return matrix


def _is_ignored(row):
    return bool(row.get("iscrowd")) or bool(row.get("difficult"))
