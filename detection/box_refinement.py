"""Iterative box refinement: regions classified again where their boxes were regressed to."""

from keras import ops

from detection.boxes import clip_boxes


def refine_boxes(predict, boxes, valid, image_sizes, refinements=1):
    """Predict for regions, then for the boxes regressed from them, and so on.

    The next region of a region is its box in the class that scores best, clipped to the image.
    The predictions of all rounds are returned together: suppression, and voting, find the best.

    Args:
        predict: function of regions `[B, N, 4]` to `(boxes [B, N, K or 1, 4], scores [B, N, K])`.
        boxes: float32 tensor `[B, N, 4]`, the first regions, in pixels.
        valid: bool tensor `[B, N]`.
        image_sizes: int32 tensor `[B, 2]`, true (height, width).
        refinements: int, rounds after the first; 0 for none.

    Returns:
        `(boxes [B, M, K or 1, 4], scores [B, M, K], valid [B, M])` with
        `M = N * (1 + refinements)`, round by round.

    Reference:
        He et al. 2015, appendix B, "Box refinement"; Gidaris and Komodakis 2015
        (arXiv:1505.01749), section 5.

    Example:

    >>> def predict(regions):  # moves a region by two pixels
    ...     return regions[:, :, None] + 2.0, np.ones((1, 1, 1), "float32")
    >>> first = np.array([[[0.0, 0, 8, 8]]], "float32"), np.array([[True]])
    >>> found, scores, valid = refine_boxes(predict, *first, np.array([[32, 32]]))
    >>> np.asarray(found)[0, :, 0].tolist()
    [[2.0, 2.0, 10.0, 10.0], [4.0, 4.0, 12.0, 12.0]]
    """
    rounds = []
    for _ in range(refinements + 1):
        if rounds:
            boxes = clip_boxes(_best_boxes(*rounds[-1][:2]), image_sizes)
            # A region that left the image has nothing to pool.
            valid = valid & ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        rounds.append((*predict(boxes), valid))
    if len(rounds) == 1:
        return rounds[0]
    return tuple(ops.concatenate(parts, axis=1) for parts in zip(*rounds))


def _best_boxes(boxes, scores):
    """The box of every region in its best class: [B, N, 4]."""
    if boxes.shape[2] == 1:
        return ops.squeeze(boxes, 2)
    # `ops.argmax` of TensorFlow looks at the bits of zeros, which ONNX cannot.
    best = ops.cast(ops.top_k(scores, 1)[1][..., 0], "int32")
    return ops.squeeze(ops.take_along_axis(boxes, best[..., None, None], axis=2), 2)
