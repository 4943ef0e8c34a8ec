"""Mean average precision of Pascal VOC: 11 points (2007) and area under the curve (2010 on)."""

import numpy as np

from detection.evaluation.results import check_inputs


def evaluate_voc(ground_truth, results, iou_threshold=0.5):
    """Computes the two Pascal VOC mean average precisions.

    Objects marked `difficult` (or `iscrowd`) are ignored as in the VOC devkit: they need not be
    found, and a detection whose best overlap is with one counts neither for nor against.

    The devkit counts inclusive pixels: a box from xmin to xmax is `xmax - xmin + 1` wide. The
    boxes here are continuous, with `xmin - 1` as their left edge, so that their plain width is
    already that number; the overlaps are therefore the devkit's own.

    Args:
        ground_truth: COCO-format dict; an annotation may have the key `difficult`.
        results: list of COCO results. All are used: VOC has no limit per image.
        iou_threshold: float. Least overlap of a true positive.

    Returns:
        A dict with `mAP07`, `mAP_area` (means over the classes that have counted objects, -1.0 if
        none has) and `per_class`, a list in the order of the categories of dicts with
        `category_id`, `name`, `AP07`, `AP_area` (-1.0 without counted objects), `num_objects`
        and `num_ignored`.

    Raises:
        ValueError: if a result names an image or category that the ground truth lacks.

    Reference:
        Everingham et al., The Pascal Visual Object Classes Challenge (IJCV 2010), section 4.2.

    Example:

    >>> truth = {
    ...     "images": [{"id": 1}],
    ...     "categories": [{"id": 5, "name": "cat"}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [0, 0, 10, 10]}],
    ... }
    >>> found = [{"image_id": 1, "category_id": 5, "bbox": [0, 0, 10, 9], "score": 0.9}]
    >>> evaluate_voc(truth, found)["mAP07"]
    1.0
    """
    check_inputs(ground_truth, results)
    categories = ground_truth["categories"]
    class_of = {category["id"]: index for index, category in enumerate(categories)}
    annotations = ground_truth["annotations"]
    rank = {image["id"]: index for index, image in enumerate(ground_truth["images"])}

    def columns(rows):
        xywh = np.array([row["bbox"] for row in rows], "float64").reshape(-1, 4)
        boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        images = np.array([rank[row["image_id"]] for row in rows], "int64")
        classes = np.array([class_of[row["category_id"]] for row in rows], "int64")
        return images, boxes, classes

    ignored = [bool(row.get("difficult")) or bool(row.get("iscrowd")) for row in annotations]
    scores = np.array([row["score"] for row in results], "float64")
    found = _average_precision(
        *columns(annotations),
        np.array(ignored, bool),
        *columns(results),
        scores,
        len(categories),
        iou_threshold,
        pixel=0.0,
    )
    per_class = [
        {
            "category_id": category["id"],
            "name": category.get("name", str(category["id"])),
            "AP07": _or_minus_one(found["ap_07"][index]),
            "AP_area": _or_minus_one(found["ap_area"][index]),
            "num_objects": int(found["num_objects"][index]),
            "num_ignored": int(found["num_ignored"][index]),
        }
        for index, category in enumerate(categories)
    ]
    return {
        "mAP07": _or_minus_one(found["map_07"]),
        "mAP_area": _or_minus_one(found["map_area"]),
        "per_class": per_class,
    }


def voc_average_precision(
    gt_boxes,
    gt_classes,
    gt_difficult,
    boxes,
    classes,
    scores,
    num_classes,
    iou_threshold=0.5,
    inclusive=True,
):
    """Computes VOC average precisions from one array per image.

    Args:
        gt_boxes: list of float arrays `[N_i, 4]`, `(x1, y1, x2, y2)` in pixels.
        gt_classes: list of int arrays `[N_i]`, `0..num_classes-1`.
        gt_difficult: list of bool arrays `[N_i]`, or None if no object is difficult.
        boxes: list of float arrays `[D_i, 4]`, the detections of the same images.
        classes: list of int arrays `[D_i]`; rows with class -1 are padding.
        scores: list of float arrays `[D_i]`.
        num_classes: int.
        iou_threshold: float. Least overlap of a true positive.
        inclusive: bool. Whether x2, y2 are the last pixel inside the box, as in VOC's own files
            and its devkit; False for continuous boxes, whose width is `x2 - x1`.

    Returns:
        A dict with float arrays `ap_07` and `ap_area` `[num_classes]` (NaN for a class without
        counted objects), their means `map_07` and `map_area` over the other classes, and int
        arrays `num_objects`, `num_ignored` `[num_classes]`.

    Example:

    >>> out = voc_average_precision(
    ...     [[[0, 0, 9, 9]]], [[0]], None, [[[0, 0, 9, 9]]], [[0]], [[0.5]], num_classes=1
    ... )
    >>> float(out["map_area"])
    1.0
    """
    if gt_difficult is None:
        gt_difficult = [np.zeros(len(rows), bool) for rows in gt_classes]
    lengths = [len(x) for x in (gt_boxes, gt_classes, gt_difficult, boxes, classes, scores)]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"All lists must have one entry for each image. Received: lists of lengths {lengths}"
        )

    def join(parts, dtype, shape=(-1,)):
        arrays = [np.asarray(part, dtype).reshape(shape) for part in parts]
        return np.concatenate(arrays) if arrays else np.zeros((0, *shape[1:]), dtype)

    def image_of(parts):
        return np.repeat(np.arange(len(parts)), [len(part) for part in parts])

    return _average_precision(
        image_of(gt_classes),
        join(gt_boxes, "float64", (-1, 4)),
        join(gt_classes, "int64"),
        join(gt_difficult, bool),
        image_of(classes),
        join(boxes, "float64", (-1, 4)),
        join(classes, "int64"),
        join(scores, "float64"),
        num_classes,
        iou_threshold,
        pixel=1.0 if inclusive else 0.0,
    )


def _average_precision(
    gt_image,
    gt_box,
    gt_class,
    gt_ignored,
    image,
    box,
    box_class,
    score,
    num_classes,
    iou_threshold,
    pixel,
):
    ap_07, ap_area = np.full((2, num_classes), np.nan)
    num_objects, num_ignored = np.zeros((2, num_classes), "int64")
    for index in range(num_classes):
        truth = np.flatnonzero(gt_class == index)
        order = np.flatnonzero(box_class == index)
        order = order[np.argsort(-score[order], kind="stable")]
        ignored = gt_ignored[truth]
        num_ignored[index] = ignored.sum()
        num_objects[index] = len(truth) - num_ignored[index]
        if not num_objects[index]:
            continue
        best, overlap = _best_overlap(
            gt_image[truth], gt_box[truth], image[order], box[order], pixel
        )
        hit = overlap >= iou_threshold
        counted = ~(hit & ignored[best])
        best, hit = best[counted], hit[counted]
        # Only the most confident detection of an object is right; repeats are false positives.
        first = np.zeros(len(hit), bool)
        hits = np.flatnonzero(hit)
        first[hits[np.unique(best[hits], return_index=True)[1]]] = True
        true_positives = np.cumsum(first)
        recall = true_positives / num_objects[index]
        precision = true_positives / np.arange(1, len(first) + 1)
        ap_07[index] = _eleven_points(recall, precision)
        ap_area[index] = _area(recall, precision)
    exists = num_objects > 0
    return {
        "ap_07": ap_07,
        "ap_area": ap_area,
        "map_07": ap_07[exists].mean() if exists.any() else np.nan,
        "map_area": ap_area[exists].mean() if exists.any() else np.nan,
        "num_objects": num_objects,
        "num_ignored": num_ignored,
    }


def _best_overlap(gt_image, gt_box, image, box, pixel):
    """For every detection, the object of its image it overlaps most, and by how much."""
    best = np.zeros(len(box), "int64")
    overlap = np.full(len(box), -1.0)
    objects = {key: np.flatnonzero(gt_image == key) for key in np.unique(gt_image)}
    by_image = np.argsort(image, kind="stable")
    starts = np.flatnonzero(np.diff(image[by_image], prepend=-1))
    for rows in np.split(by_image, starts[1:]) if len(by_image) else ():
        candidates = objects.get(image[rows[0]])
        if candidates is None:
            continue
        a, b = box[rows, None], gt_box[None, candidates]
        sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + pixel
        intersection = np.prod(np.maximum(sides, 0.0), axis=-1)
        union = (
            np.prod(a[..., 2:] - a[..., :2] + pixel, axis=-1)
            + np.prod(b[..., 2:] - b[..., :2] + pixel, axis=-1)
            - intersection
        )
        iou = np.where(union > 0, intersection / np.where(union > 0, union, 1.0), 0.0)
        best[rows] = candidates[iou.argmax(axis=1)]
        overlap[rows] = iou.max(axis=1)
    return best, overlap


def _eleven_points(recall, precision):
    """Mean, over recalls 0, 0.1 ... 1, of the best precision at that recall or beyond."""
    # k / 10 rounds as the recalls do; a step of 0.1 would miss a recall of exactly 0.3 or 0.6.
    points = [precision[recall >= level].max(initial=0.0) for level in np.arange(11) / 10]
    return float(np.mean(points))


def _area(recall, precision):
    """Area under the precision that is made to fall monotonically with recall."""
    recall = np.concatenate([[0.0], recall])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * precision))


def _or_minus_one(value):
    return -1.0 if np.isnan(value) else float(value)
