"""What a detector's errors are, and the average precision that each kind of them costs."""

import numpy as np

from detection.evaluation.overlap import overlaps
from detection.evaluation.results import check_inputs

KINDS = ("classification", "localization", "both", "duplicate", "background", "missed")
_RECALLS = np.linspace(0.0, 1.0, 101)


def error_breakdown(ground_truth, results, iou_threshold=0.5, background_threshold=0.1):
    """Sorts every error of a detector into one of six kinds and tells what each kind costs.

    Detections are matched to objects as COCO does at `iou_threshold`. One that matches none is

    - `localization`: it overlaps an object of its class by less than `iou_threshold`, but by
      `background_threshold` or more;
    - `classification`: it overlaps an object of another class by `iou_threshold` or more;
    - `duplicate`: it overlaps an object of its class that a better detection has;
    - `background`: it overlaps nothing by more than `background_threshold`;
    - `both`: anything else, a wrong class and a bad box;

    the first of these in this order. An object is `missed` if no detection has it and no
    localization or classification error is about it. What a kind costs is how much the mean
    average precision (AP50 for the default threshold) rises if all errors of the kind, and no
    others, are put right: a wrong class or box is corrected if it is the best one about an object
    that nothing else has found, other detections are taken away, missed objects are not asked for.
    The costs do not add up to the AP that is missing: errors hide one another.

    Args:
        ground_truth: COCO-format dict. Detections on crowds count nowhere.
        results: list of COCO results.
        iou_threshold: float, least overlap of a match.
        background_threshold: float, least overlap at which a detection is about an object.

    Returns:
        A dict with `AP`, the mean over classes at `iou_threshold` (-1.0 without objects), and
        `kinds`: for each of `KINDS` a dict of `count` and `cost`, the AP it costs.

    Raises:
        ValueError: the thresholds are not in order, or a result names an image or category that
            the ground truth lacks.

    Reference:
        Bolya et al. 2020, TIDE: A General Toolbox for Identifying Object Detection Errors,
        section 2.

    Example:

    >>> truth = {
    ...     "images": [{"id": 1}],
    ...     "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    ... }
    >>> found = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], "score": 0.9}]
    >>> error_breakdown(truth, found)["kinds"]["classification"]
    {'count': 1, 'cost': 1.0}
    """
    if not 0.0 <= background_threshold < iou_threshold <= 1.0:
        raise ValueError(
            "The thresholds must be 0 <= background_threshold < iou_threshold <= 1. Received: "
            f"background_threshold={background_threshold}, iou_threshold={iou_threshold}"
        )
    check_inputs(ground_truth, results)
    class_of = {row["id"]: index for index, row in enumerate(ground_truth["categories"])}
    objects, detections = {}, {}
    for row in ground_truth["annotations"]:
        objects.setdefault(row["image_id"], []).append(row)
    for row in results:
        detections.setdefault(row["image_id"], []).append(row)

    positives = np.zeros(len(class_of), "int64")
    missed = np.zeros(len(class_of), "int64")
    rows = []
    for image in ground_truth["images"]:
        truth = [row for row in objects.get(image["id"], []) if not row.get("iscrowd")]
        crowds = [row for row in objects.get(image["id"], []) if row.get("iscrowd")]
        found = sorted(detections.get(image["id"], []), key=lambda row: -row["score"])
        of_image, unfound = _sort_out(
            found, truth, crowds, class_of, iou_threshold, background_threshold
        )
        rows += of_image
        for row in truth:
            positives[class_of[row["category_id"]]] += 1
        for row in unfound:
            missed[class_of[row["category_id"]]] += 1
    return _summary(rows, positives, missed)


def _sort_out(found, truth, crowds, class_of, iou_threshold, background_threshold):
    """The detections of an image as rows, and the objects that nothing is about.

    Returns:
        `(rows, missed)`: rows are lists `[score, class, kind, class if put right or None]`, with
        the kind None for a true positive; missed are annotations.
    """
    overlap = overlaps(found, truth)
    classes = np.array([class_of[row["category_id"]] for row in found], "int64")
    true_classes = np.array([class_of[row["category_id"]] for row in truth], "int64")
    same = classes[:, None] == true_classes[None, :]
    within = np.where(same, overlap, 0.0)
    across = np.where(same, 0.0, overlap)

    owner = np.full(len(truth), -1)
    free = within.copy()
    for index in range(len(found)):
        if free[index].max(initial=0.0) >= iou_threshold:
            match = int(free[index].argmax())
            owner[match] = index
            free[:, match] = 0.0
    taken = owner >= 0
    correct = set(owner[taken].tolist())
    its_class = np.array(
        [[row["category_id"] == c["category_id"] for c in crowds] for row in found]
    )
    share = np.where(its_class.reshape(len(found), len(crowds)), overlaps(found, crowds), 0.0)
    on_crowd = share.max(axis=1, initial=0.0) >= iou_threshold

    rows, claimed = [], {}
    for index, row in enumerate(found):
        if index in correct:
            rows.append([row["score"], classes[index], None, None])
            continue
        if on_crowd[index]:
            continue
        target = None
        best = {
            "within": within[index].max(initial=0.0),
            "across": across[index].max(initial=0.0),
            "taken": within[index][taken].max(initial=0.0),
            "any": overlap[index].max(initial=0.0),
        }
        if truth and background_threshold <= best["within"] < iou_threshold:
            kind, target = "localization", int(within[index].argmax())
        elif best["across"] >= iou_threshold:
            kind, target = "classification", int(across[index].argmax())
        elif best["taken"] >= iou_threshold:
            kind = "duplicate"
        elif best["any"] <= background_threshold:
            kind = "background"
        else:
            kind = "both"
        corrected = None
        if target is not None and not taken[target] and target not in claimed:
            claimed[target] = index  # Rows come by falling score, so this is the best about it.
            corrected = true_classes[target]
        rows.append([row["score"], classes[index], kind, corrected])
    missed = [row for i, row in enumerate(truth) if not taken[i] and i not in claimed]
    return rows, missed


def _summary(rows, positives, missed):
    scores = np.array([row[0] for row in rows], "float64")
    classes = np.array([row[1] for row in rows], "int64")
    kinds = np.array([row[2] or "" for row in rows], "object")
    corrected = np.array([-1 if row[3] is None else row[3] for row in rows], "int64")
    right = kinds == ""
    counted = positives > 0
    base = _mean_precision(scores, classes, right, positives, counted)
    breakdown = {}
    for kind in KINDS:
        of_kind = kinds == kind
        mended = of_kind & (corrected >= 0)
        kept = ~of_kind | mended
        fixed = _mean_precision(
            scores[kept],
            np.where(mended, corrected, classes)[kept],
            (right | mended)[kept],
            positives - missed if kind == "missed" else positives,
            counted,
        )
        count = int(missed.sum()) if kind == "missed" else int(of_kind.sum())
        # Interpolated precision can fall by a rounding when an error is put right.
        breakdown[kind] = {"count": count, "cost": max(fixed - base, 0.0)}
    return {"AP": base, "kinds": breakdown}


def _mean_precision(scores, classes, right, positives, counted):
    """Mean of COCO's 101-point average precision over the classes that are counted."""
    values = []
    for index in np.flatnonzero(counted):
        mine = classes == index
        if positives[index]:
            values.append(_average_precision(scores[mine], right[mine], positives[index]))
        elif mine.any():  # Nothing is asked for, and something was found.
            values.append(0.0)
    return float(np.mean(values)) if values else -1.0


def _average_precision(scores, right, positives):
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    if not len(hits):
        return 0.0
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(hits / positives, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(place, len(precision))].mean())
