"""Which ground-truth box, if any, an anchor or proposal is trained towards."""

from keras import ops

from detection.boxes import area, intersection_of_sides, iou_of_sides, sides


def match(iou, gt_valid, positive=0.7, negative=0.3, allow_low_quality=True):
    """Match candidates to ground-truth boxes by their overlap.

    A candidate is positive from `positive` on, negative below `negative`, ignored between. With
    `allow_low_quality` the candidates that overlap most with some ground-truth box (all that tie)
    are positive too, so that no box goes unlearned; they still point to the box with which they
    themselves overlap most. A box that overlaps with nothing makes nothing positive.

    Args:
        iou: float tensor `[..., N, M]`, overlap of N candidates with M ground-truth boxes.
        gt_valid: bool tensor `[..., M]`, False for padding.
        positive: float, smallest overlap of a positive.
        negative: float, smallest overlap that is not negative.
        allow_low_quality: bool, see above.

    Returns:
        `(matched_index, labels)`, both int32 `[..., N]`: index into M (0 where nothing is valid),
        and 1 positive, 0 negative, -1 ignored.

    Raises:
        ValueError: unless `0 < negative <= positive <= 1`.

    Reference:
        Ren et al. 2015, section 3.1.2.

    Example:
        >>> match(np.array([[0.8, 0.1], [0.2, 0.4]]), np.array([True, True]))  # ([0, 1], [1, 1])
    """
    _check_thresholds(positive, negative)
    iou = ops.stop_gradient(ops.cast(iou, "float32"))
    gt_valid = ops.cast(gt_valid, "bool")
    iou = ops.where(gt_valid[..., None, :], iou, -1.0)
    matched_index = ops.cast(ops.argmax(iou, axis=-1), "int32")
    best = ops.max(iou, axis=-1)
    labels = _label(best, positive, negative)
    if allow_low_quality:
        best_of_gt = ops.max(iou, axis=-2, keepdims=True)
        # A target above every overlap keeps padding and unreachable boxes from matching.
        target = ops.where(best_of_gt > 0, best_of_gt, 2.0)
        labels = ops.where(ops.any(iou >= target, axis=-1), 1, labels)
    return matched_index, ops.cast(labels, "int32")


def match_boxes(
    candidates,
    gt_boxes,
    gt_valid,
    gt_crowd=None,
    positive=0.7,
    negative=0.3,
    allow_low_quality=True,
):
    """`match` without the matrix of all overlaps, for many candidates.

    Goes through the ground-truth boxes one by one and stops after the last valid one, so that
    memory is `B * N` instead of `B * N * M` and padding costs nothing. A candidate that would be
    negative is ignored if at least half of it lies inside a crowd region.

    Args:
        candidates: float tensor `[B, N, 4]`, or `[1, N, 4]` for the same anchors in every image;
            pixels.
        gt_boxes: float tensor `[B, M, 4]`, pixels.
        gt_valid: bool tensor `[B, M]`, False for padding.
        gt_crowd: bool tensor `[B, M]` or None; crowd regions make nothing positive.
        positive, negative, allow_low_quality: as in `match`.

    Returns:
        `(matched_index, labels)`, both int32 `[B, N]`, as in `match`.

    Raises:
        ValueError: unless `0 < negative <= positive <= 1`.

    Reference:
        Ren et al. 2015, section 3.1.2.

    Example:
        >>> anchors = np.array([[[0.0, 0, 4, 4], [4, 4, 8, 8]]])
        >>> match_boxes(anchors, np.array([[[0.0, 0, 4, 3]]]), np.array([[True]]))
        # ([[0, 0]], [[1, 0]])
    """
    _check_thresholds(positive, negative)
    candidates = ops.stop_gradient(ops.cast(candidates, "float32"))
    gt_boxes = ops.stop_gradient(ops.cast(gt_boxes, "float32"))
    gt_valid = ops.cast(gt_valid, "bool")
    gt_crowd = ops.zeros_like(gt_valid) if gt_crowd is None else ops.cast(gt_crowd, "bool")
    candidate_sides, areas = sides(candidates), area(candidates)
    gt_sides = sides(gt_boxes)
    zero = ops.zeros_like(areas) + ops.sum(ops.zeros_like(gt_boxes), axis=(1, 2))[:, None]
    number = ops.cumsum(ops.ones_like(gt_valid, dtype="int32"), axis=1)
    end = ops.max(ops.where(gt_valid, number, 0), initial=0)

    def visit(m, state):
        best, matched_index, forced, crowded = state
        box = [ops.take(side, m, axis=1)[:, None] for side in gt_sides]
        valid = ops.take(gt_valid, m, axis=1)[:, None]
        crowd = ops.take(gt_crowd, m, axis=1)[:, None]
        iou = ops.where(valid & ~crowd, iou_of_sides(candidate_sides, box), -1.0)
        best_of_box = ops.max(iou, axis=1, keepdims=True)
        forced = forced | ((iou >= best_of_box) & (best_of_box > 0))
        shared = intersection_of_sides(candidate_sides, box)
        crowded = crowded | (valid & crowd & (areas > 0) & (2.0 * shared >= areas))
        # Strictly better, so that the first of equal boxes stays.
        better = iou > best
        return (
            ops.maximum(best, iou),
            ops.where(better, m, matched_index),
            forced,
            crowded,
        )

    start = (zero - 1.0, ops.cast(zero, "int32"), zero > 0, zero > 0)
    best, matched_index, forced, crowded = ops.fori_loop(0, end, visit, start)
    labels = _label(best, positive, negative)
    if allow_low_quality:
        labels = ops.where(forced, 1, labels)
    labels = ops.where(crowded & (labels == 0), -1, labels)
    return matched_index, ops.cast(labels, "int32")


def _label(best, positive, negative):
    return ops.where(best >= positive, 1, ops.where(best < negative, 0, -1))


def _check_thresholds(positive, negative):
    if not 0 < negative <= positive <= 1:
        raise ValueError(
            "Thresholds must satisfy 0 < negative <= positive <= 1. "
            f"Received: positive={positive}, negative={negative}"
        )
