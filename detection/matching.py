"""Which ground-truth box, if any, an anchor or proposal is trained towards."""

from keras import ops


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
    if not 0 < negative <= positive <= 1:
        raise ValueError(
            "Thresholds must satisfy 0 < negative <= positive <= 1. "
            f"Received: positive={positive}, negative={negative}"
        )
    iou = ops.stop_gradient(ops.cast(iou, "float32"))
    gt_valid = ops.cast(gt_valid, "bool")
    iou = ops.where(gt_valid[..., None, :], iou, -1.0)
    matched_index = ops.cast(ops.argmax(iou, axis=-1), "int32")
    best = ops.max(iou, axis=-1)
    labels = ops.where(best >= positive, 1, ops.where(best < negative, 0, -1))
    if allow_low_quality:
        best_of_gt = ops.max(iou, axis=-2, keepdims=True)
        # A target above every overlap keeps padding and unreachable boxes from matching.
        target = ops.where(best_of_gt > 0, best_of_gt, 2.0)
        labels = ops.where(ops.any(iou >= target, axis=-1), 1, labels)
    return matched_index, ops.cast(labels, "int32")
