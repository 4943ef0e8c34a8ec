"""Soft non-maximum suppression with fixed output shape."""

import dataclasses

from keras import ops

from detection.boxes import iou_of_sides, sides

_NEVER = -float("inf")


@dataclasses.dataclass
class SoftNMS:
    """Lowers the scores of boxes that overlap with a better one, instead of dropping them.

    Args:
        method: `"linear"`: scores are multiplied by `1 - IoU` where the IoU is above the
            threshold; `"gaussian"`: by `exp(-IoU^2 / sigma)` everywhere.
        sigma: of the gaussian method.

    Call arguments:
        boxes: float tensor `[B, N, 4]`, pixels; N may be dynamic.
        scores: float tensor `[B, N]`.
        max_output: int, number of output slots an image.
        iou_threshold: float, of the linear method.
        score_threshold: float; a box is kept if its score, as lowered when its turn comes, is
            above.
        classes: int tensor `[B, N]`; boxes lower only boxes of their class.
        valid: bool tensor `[B, N]`; False rows are neither kept nor lower others.

    Returns:
        `(indices, valid, scores)`, each `[B, max_output]`: int32 index into N by falling score,
        equal scores by rising index, 0 in unused slots; bool whether the slot is used; float32
        lowered score, 0 in unused slots.

    Raises:
        ValueError: for an unknown method or a sigma that is not positive.

    Reference:
        Bodla et al., "Soft-NMS" (2017), section 3.

    Example:

    >>> boxes = np.array([[[0.0, 0, 4, 4], [0, 0, 4, 2]]])
    >>> scores, classes = np.array([[0.9, 0.8]]), np.array([[0, 0]])
    >>> valid = np.array([[True, True]])
    >>> _, _, lowered = SoftNMS("linear")(boxes, scores, 2, 0.3, 0.05, classes, valid)
    >>> [round(float(score), 2) for score in lowered[0]]
    [0.9, 0.4]
    """

    method: str = "gaussian"
    sigma: float = 0.5

    def __post_init__(self):
        if self.method not in ("linear", "gaussian"):
            raise ValueError(
                f"`method` must be 'linear' or 'gaussian'. Received: method={self.method!r}"
            )
        if not self.sigma > 0:
            raise ValueError(f"`sigma` must be positive. Received: sigma={self.sigma}")

    def __call__(self, boxes, scores, max_output, iou_threshold, score_threshold, classes, valid):
        boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
        scores = ops.stop_gradient(ops.cast(scores, "float32"))
        usable = ops.all(ops.isfinite(boxes), axis=-1) & (scores > _NEVER)
        usable = usable & ops.cast(valid, "bool")
        scores = ops.where(usable, scores, _NEVER)
        boxes = ops.where(usable[..., None], boxes, 0.0)
        # A row of padding lets N be zero.
        boxes = ops.pad(boxes, ((0, 0), (0, 1), (0, 0)))
        scores = ops.pad(scores, ((0, 0), (0, 1)), constant_values=_NEVER)
        classes = ops.pad(ops.cast(classes, "int32"), ((0, 0), (0, 1)))

        column = ops.arange(ops.shape(scores)[1], dtype="int32")[None, :]
        slot = ops.arange(max_output, dtype="int32")[None, :]
        all_sides = sides(boxes)

        def step(i, state):
            scores, indices, found, kept = state
            best = ops.cast(ops.argmax(scores, axis=1), "int32")[:, None]
            score = ops.take_along_axis(scores, best, axis=1)
            box = [ops.take_along_axis(side, best, axis=1) for side in all_sides]
            same_class = classes == ops.take_along_axis(classes, best, axis=1)
            factor = self._factor(iou_of_sides(box, all_sides), iou_threshold)
            # Minus infinity times zero would be NaN.
            lowered = ops.where(scores > _NEVER, scores * factor, _NEVER)
            scores = ops.where(same_class, lowered, scores)
            scores = ops.where(column == best, _NEVER, scores)
            here = (slot == i) & (score > score_threshold)
            return (
                scores,
                ops.where(here, best, indices),
                found | here,
                ops.where(here, score, kept),
            )

        indices = ops.zeros_like(scores[:, :1], dtype="int32") + ops.zeros_like(slot)
        state = (scores, indices, indices > 0, ops.cast(indices, "float32"))
        _, indices, found, kept = ops.fori_loop(0, max_output, step, state)
        return indices, found, kept

    def _factor(self, iou, iou_threshold):
        if self.method == "linear":
            return ops.where(iou > iou_threshold, 1.0 - iou, 1.0)
        return ops.exp(-iou * iou / self.sigma)

    def get_config(self):
        """The arguments as plain data."""
        return dataclasses.asdict(self)
