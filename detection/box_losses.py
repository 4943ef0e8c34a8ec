"""Losses of predicted boxes: of their deltas, or of the boxes that these describe."""

import dataclasses
import math

from keras import ops

from detection.boxes import sides
from detection.losses import smooth_l1

_SMALLEST = 1e-7  # square pixels, or pixels for CIoU's diagonal


def giou_loss(predictions, targets):
    """One minus the generalized IoU of every pair of boxes.

    Args:
        predictions: float tensor `[..., 4]`, pixels.
        targets: float tensor `[..., 4]`, pixels.

    Returns:
        float32 tensor `[...]` in `[0, 2]`; finite for empty boxes too.

    Reference:
        Rezatofighi et al., "Generalized Intersection over Union" (2019), algorithm 1.

    Example:

    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[2.0, 0, 4, 2]])
    >>> float(giou_loss(a, b)[0])
    1.0
    """
    a, b = sides(predictions), sides(targets)
    iou, union = _iou_and_union(a, b)
    width, height = _hull(a, b)
    hull = width * height
    return 1.0 - iou + (hull - union) / ops.maximum(hull, _SMALLEST)


def ciou_loss(predictions, targets):
    """One minus the complete IoU: overlap, distance of the centres, and aspect ratio.

    Args:
        predictions: float tensor `[..., 4]`, pixels.
        targets: float tensor `[..., 4]`, pixels.

    Returns:
        float32 tensor `[...]`; finite for empty boxes too. No gradient flows through the weight
        of the aspect ratio.

    Reference:
        Zheng et al., "Distance-IoU Loss" (2020), section 3.3.

    Example:

    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[2.0, 0, 4, 2]])
    >>> round(float(ciou_loss(a, b)[0]), 3)
    1.2
    """
    a, b = sides(predictions), sides(targets)
    iou, _ = _iou_and_union(a, b)
    width, height = _hull(a, b)
    diagonal = ops.maximum(width * width + height * height, _SMALLEST)
    distance = ((a[0] + a[2] - b[0] - b[2]) ** 2 + (a[1] + a[3] - b[1] - b[3]) ** 2) / 4.0
    angle = _angle(b) - _angle(a)
    shape = (4.0 / math.pi**2) * angle * angle
    weight = ops.stop_gradient(shape / ops.maximum(1.0 - iou + shape, _SMALLEST))
    return 1.0 - iou + distance / diagonal + weight * shape


def _iou_and_union(a, b):
    width = ops.maximum(ops.minimum(a[2], b[2]) - ops.maximum(a[0], b[0]), 0.0)
    height = ops.maximum(ops.minimum(a[3], b[3]) - ops.maximum(a[1], b[1]), 0.0)
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / ops.maximum(union, _SMALLEST), union


def _hull(a, b):
    """Width and height of the smallest box around both."""
    width = ops.maximum(a[2], b[2]) - ops.minimum(a[0], b[0])
    height = ops.maximum(a[3], b[3]) - ops.minimum(a[1], b[1])
    return width, height


def _angle(a):
    # A side of zero would make the gradient NaN.
    return ops.arctan(ops.maximum(a[2] - a[0], _SMALLEST) / ops.maximum(a[3] - a[1], _SMALLEST))


@dataclasses.dataclass
class BoxLoss:
    """The loss of predicted boxes, by name.

    Args:
        kind: `"smooth_l1"`, of the deltas; `"giou"` or `"ciou"`, of the decoded boxes.
        beta: where smooth L1 becomes linear; 0 for L1.
        weight: factor of the loss.

    Call arguments:
        deltas: float tensor `[..., 4]`, predicted.
        boxes: float tensor `[..., 4]`, the regions that they refer to, in pixels.
        ground_truth: float tensor `[..., 4]`, what the regions should become, in pixels.
        coder: a `BoxCoder`.

    Returns:
        float32 tensor `[...]`.

    Raises:
        ValueError: for an unknown kind, a negative number, or a `beta` that is not used.

    Example:

    >>> coder = BoxCoder()
    >>> box = np.array([[0.0, 0, 4, 4]], "float32")
    >>> float(BoxLoss("giou")(np.zeros((1, 4)), box, box, coder)[0])
    0.0
    """

    kind: str = "smooth_l1"
    beta: float = 0.0
    weight: float = 1.0

    def __post_init__(self):
        if self.kind not in ("smooth_l1", *_OF_BOXES):
            raise ValueError(
                "`kind` of a box loss must be one of 'smooth_l1', 'giou', 'ciou'. "
                f"Received: kind={self.kind!r}"
            )
        if self.beta < 0 or self.weight < 0:
            raise ValueError(
                "`beta` and `weight` must not be negative. "
                f"Received: beta={self.beta}, weight={self.weight}"
            )
        if self.kind in _OF_BOXES and self.beta:
            raise ValueError(
                f"`beta` belongs to 'smooth_l1'. Received: kind={self.kind!r}, beta={self.beta}"
            )

    def __call__(self, deltas, boxes, ground_truth, coder):
        if self.kind in _OF_BOXES:
            loss = _OF_BOXES[self.kind](coder.decode(deltas, boxes), ground_truth)
        else:
            targets = ops.stop_gradient(coder.encode(ground_truth, boxes))
            loss = smooth_l1(deltas, targets, self.beta)
        return self.weight * loss

    def get_config(self):
        """The arguments as plain data."""
        return dataclasses.asdict(self)


_OF_BOXES = {"giou": giou_loss, "ciou": ciou_loss}
