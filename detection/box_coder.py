"""Boxes as offsets from anchors, the form in which the network predicts them."""

import math

from keras import ops

_LARGEST_LOG_SIDE = math.log(1000.0 / 16)
# Keeps the logarithm of a padded (empty) box finite; far below any real side in pixels.
_SMALLEST_SIDE = 1e-6


class BoxCoder:
    """Encode boxes relative to anchors and decode them again.

    With centres `(x, y)` and sides `(w, h)` of a box and `a` its anchor, the deltas are
    `((x - xa) / wa, (y - ya) / ha, log(w / wa), log(h / ha)) * weights`.

    Args:
        weights: four positive floats, factors of the deltas. `(10, 10, 5, 5)` equals targets
            normalised by standard deviations `(0.1, 0.1, 0.2, 0.2)`.
        clip: float, upper bound of the decoded logarithms of the sides, against overflow.

    Raises:
        ValueError: if `weights` are not four positive numbers.

    Reference:
        Girshick et al. 2014, appendix C; Ren et al. 2015, equation 2.

    Example:
        >>> coder = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
        >>> deltas = coder.encode([[0.0, 0.0, 8.0, 8.0]], [[0.0, 0.0, 4.0, 4.0]])
        >>> coder.decode(deltas, [[0.0, 0.0, 4.0, 4.0]])  # [[0, 0, 8, 8]]
    """

    def __init__(self, weights=(1.0, 1.0, 1.0, 1.0), clip=_LARGEST_LOG_SIDE):
        self.weights = tuple(float(weight) for weight in weights)
        if len(self.weights) != 4 or not all(weight > 0 for weight in self.weights):
            raise ValueError(
                f"`weights` must be four positive numbers. Received: weights={weights}"
            )
        self.clip = float(clip)

    def encode(self, boxes, anchors):
        """Deltas that turn `anchors` into `boxes`.

        Args:
            boxes: float tensor `[..., 4]`, pixels.
            anchors: float tensor `[..., 4]`, pixels; broadcasts against `boxes`.

        Returns:
            float32 tensor `[..., 4]`; finite also for empty boxes.
        """
        x, y, width, height = _centre_form(boxes, smallest=_SMALLEST_SIDE)
        xa, ya, wa, ha = _centre_form(anchors, smallest=_SMALLEST_SIDE)
        wx, wy, ww, wh = self.weights
        return ops.stack(
            [
                wx * ((x - xa) / wa),
                wy * ((y - ya) / ha),
                ww * ops.log(width / wa),
                wh * ops.log(height / ha),
            ],
            axis=-1,
        )

    def decode(self, deltas, anchors):
        """Boxes that `deltas` describe.

        Args:
            deltas: float tensor `[..., 4]`. Class-specific deltas `[..., N, K, 4]` go with anchors
                `[..., N, 1, 4]`.
            anchors: float tensor `[..., 4]`, pixels; broadcasts against `deltas`.

        Returns:
            float32 tensor `[..., 4]`, pixels, not clipped to any image.
        """
        deltas = ops.cast(deltas, "float32")
        xa, ya, wa, ha = _centre_form(anchors)
        wx, wy, ww, wh = self.weights
        x = deltas[..., 0] / wx * wa + xa
        y = deltas[..., 1] / wy * ha + ya
        half_width = 0.5 * wa * ops.exp(ops.minimum(deltas[..., 2] / ww, self.clip))
        half_height = 0.5 * ha * ops.exp(ops.minimum(deltas[..., 3] / wh, self.clip))
        return ops.stack(
            [x - half_width, y - half_height, x + half_width, y + half_height], axis=-1
        )


def _centre_form(boxes, smallest=None):
    boxes = ops.cast(boxes, "float32")
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    x, y = boxes[..., 0] + 0.5 * width, boxes[..., 1] + 0.5 * height
    if smallest is not None:
        width, height = ops.maximum(width, smallest), ops.maximum(height, smallest)
    return x, y, width, height
