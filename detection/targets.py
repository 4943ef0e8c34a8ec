"""What a candidate box should be: its ground-truth box and its regression target."""

from keras import ops

from detection.matching import match_boxes


def match_to_ground_truth(candidates, y, positive, negative, allow_low_quality):
    """Matches boxes with ground truth; boxes mostly inside a crowd are not negatives.

    Args:
        candidates: float32 tensor [B or 1, N, 4].
        y: dict with `boxes` [B, M, 4], `classes` [B, M] (-1 padded) and
            `is_crowd` bool [B, M].
        positive, negative, allow_low_quality: as for `matching.match`.

    Returns:
        `(matched int32 [B, N], labels int32 [B, N])`.
    """
    return match_boxes(
        candidates,
        y["boxes"],
        y["classes"] >= 0,
        y["is_crowd"],
        positive=positive,
        negative=negative,
        allow_low_quality=allow_low_quality,
    )


def gather_boxes(boxes, indices):
    """Rows of `boxes` [B, M, 4] by `indices` int [B, N], as [B, N, 4]."""
    batch, count, _ = ops.shape(boxes)
    # `take_along_axis` would transpose all boxes on TensorFlow, of which there may be 250,000.
    first = ops.arange(batch, dtype="int32")[:, None] * count
    rows = ops.reshape(boxes, (-1, boxes.shape[-1]))
    return ops.take(rows, first + ops.cast(indices, "int32"), axis=0)


def box_targets(coder, ground_truth, matched, candidates, positive):
    """Regression targets of the positives, zero elsewhere.

    Args:
        coder: a `BoxCoder`.
        ground_truth: float32 tensor [B, M, 4].
        matched: int32 tensor [B, N], the ground-truth row of each candidate.
        candidates: float32 tensor [B, N, 4].
        positive: bool tensor [B, N].

    Returns:
        float32 tensor [B, N, 4]; finite even where a padded row of the ground
        truth has no width.
    """
    targets = coder.encode(gather_boxes(ground_truth, matched), candidates)
    # A NaN behind a mask still poisons the gradient, so it is removed here.
    return ops.stop_gradient(ops.where(ops.expand_dims(positive, -1), targets, 0.0))
