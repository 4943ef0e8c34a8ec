"""Which regions the second stage is trained on, and what they should become."""

import dataclasses

from keras import ops

from detection.sampling import sample
from detection.targets import gather_boxes, match_to_ground_truth


def label_regions(boxes, valid, y, positive_iou, background):
    """Compares regions with the ground truth.

    Args:
        boxes: float32 tensor [B, N, 4], pixels.
        valid: bool tensor [B, N].
        y: ground truth as `FasterRCNN` takes it, with a bool `is_crowd`.
        positive_iou: regions with at least this IoU are foreground, the others background.
        background: int, class of the background.

    Returns:
        dict of `boxes` [B, N, 4]; `classes` int32 [B, N]; `ground_truth` [B, N, 4], the boxes
        that the foreground should become (the others: themselves); `positive` bool [B, N];
        `valid` bool [B, N], False too where a region is mostly inside a crowd.
    """
    boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
    matched, labels = match_to_ground_truth(
        boxes, y, positive=positive_iou, negative=positive_iou, allow_low_quality=False
    )
    positive = (labels == 1) & valid
    classes = ops.take_along_axis(ops.cast(y["classes"], "int32"), matched, axis=1)
    truth = gather_boxes(ops.cast(y["boxes"], "float32"), matched)
    return {
        "boxes": boxes,
        "classes": ops.where(positive, classes, background),
        "ground_truth": ops.stop_gradient(ops.where(positive[..., None], truth, boxes)),
        "positive": positive,
        "valid": (labels >= 0) & valid,
    }


@dataclasses.dataclass
class RegionSampling:
    """Chooses a fixed number of regions of every image for the losses.

    Args:
        samples: int, regions per image.
        positive_fraction: largest share of foreground among them.
        positive_iou: regions with at least this IoU are foreground, the others background.

    Call arguments:
        boxes: float32 tensor [B, P, 4], proposals in pixels; the ground truth is added to them.
        valid: bool tensor [B, P].
        y: ground truth as `FasterRCNN` takes it, with a bool `is_crowd`, M boxes an image.
        noise: float32 tensor [B, P + M], uniform in [0, 1).
        background: int, class of the background.

    Returns:
        dict as of `label_regions`, of `samples` regions an image.

    Reference:
        Girshick, "Fast R-CNN" (2015), section 2.3.

    Example:

    >>> y = {
    ...     "boxes": np.array([[[0.0, 0, 8, 8]]]),
    ...     "classes": np.array([[1]]),
    ...     "is_crowd": np.array([[False]]),
    ... }
    >>> proposals = np.array([[[0.0, 0, 8, 6], [20, 20, 30, 30]]]), np.array([[True, True]])
    >>> chosen = RegionSampling(4, 0.5)(*proposals, y, np.zeros((1, 3)), background=3)
    >>> np.asarray(chosen["classes"]).tolist(), np.asarray(chosen["valid"]).tolist()
    ([[1, 1, 3, 3]], [[True, True, True, False]])
    """

    samples: int = 512
    positive_fraction: float = 0.25
    positive_iou: float = 0.5

    def __call__(self, boxes, valid, y, noise, background):
        real = (y["classes"] >= 0) & ~y["is_crowd"]
        boxes = ops.concatenate([boxes, ops.cast(y["boxes"], "float32")], axis=1)
        valid = ops.concatenate([valid, real], axis=1)
        regions = label_regions(boxes, valid, y, self.positive_iou, background)
        labels = ops.where(regions["valid"], ops.cast(regions["positive"], "int32"), -1)
        indices, valid, positive = sample(labels, self.samples, self.positive_fraction, noise)
        classes = ops.take_along_axis(regions["classes"], indices, axis=1)
        return {
            "boxes": gather_boxes(regions["boxes"], indices),
            "classes": ops.where(positive, classes, background),
            "ground_truth": gather_boxes(regions["ground_truth"], indices),
            "positive": positive,
            "valid": valid,
        }

    def get_config(self):
        """The arguments as plain data."""
        return dataclasses.asdict(self)
