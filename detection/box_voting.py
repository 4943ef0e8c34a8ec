"""Box voting: kept boxes moved to the weighted mean of those that agree with them."""

from keras import ops

from detection.boxes import iou_of_sides, sides


def box_voting(boxes, classes, candidates, scores, iou_threshold=0.5):
    """Replace every kept box by the mean of the boxes of its class around it.

    The candidates are the boxes before non-maximum suppression, the weights their scores. A box
    on which nobody votes stays where it is.

    Args:
        boxes: float tensor `[B, D, 4]`, the kept boxes in pixels.
        classes: int tensor `[B, D]`, -1 for padding.
        candidates: float tensor `[B, N, K, 4]`, a box for each of K classes, or `[B, N, 1, 4]`
            for the same box in every class.
        scores: float tensor `[B, N, K]`; candidates with a score of 0 have no vote.
        iou_threshold: float in `(0, 1]`; candidates with at least this overlap vote.

    Returns:
        float32 tensor `[B, D, 4]`; padding as it was.

    Raises:
        ValueError: for a threshold outside `(0, 1]`.

    Reference:
        Gidaris and Komodakis 2015 (arXiv:1505.01749), section 5; He et al. 2015, appendix B.

    Example:

    >>> near = np.array([[[[0.0, 0, 10, 10]], [[0, 0, 10, 8]], [[0, 0, 2, 2]]]])
    >>> scores = np.array([[[0.75], [0.25], [0.9]]])
    >>> np.asarray(box_voting(near[:, :1, 0], np.array([[0]]), near, scores)).tolist()
    [[[0.0, 0.0, 10.0, 9.5]]]
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(
            "`iou_threshold` must be above 0 and at most 1. "
            f"Received: iou_threshold={iou_threshold}"
        )
    boxes = ops.cast(boxes, "float32")
    classes = ops.cast(classes, "int32")
    # Those of a box's own class only: [B, D, N, ...] instead of a column for every class.
    row = ops.maximum(classes, 0)
    scores = ops.swapaxes(ops.cast(scores, "float32"), 1, 2)
    scores = ops.take_along_axis(scores, row[:, :, None], axis=1)
    candidates = ops.swapaxes(ops.cast(candidates, "float32"), 1, 2)
    if candidates.shape[1] == 1:
        row = ops.zeros_like(row)
    candidates = ops.take_along_axis(candidates, row[:, :, None, None], axis=1)
    overlaps = iou_of_sides(sides(boxes[:, :, None]), sides(candidates))
    votes = ops.where((overlaps >= iou_threshold) & (classes[:, :, None] >= 0), scores, 0.0)
    total = ops.sum(votes, axis=2, keepdims=True)
    # Not only multiplied by zero, which NaN outlasts.
    candidates = ops.where(votes[..., None] > 0, candidates, 0.0)
    mean = ops.sum(votes[..., None] * candidates, axis=2) / ops.where(total > 0, total, 1.0)
    return ops.where(total > 0, mean, boxes)
