"""Which of the scored boxes of an image are its detections."""

import dataclasses

from keras import ops

from detection.box_voting import box_voting
from detection.boxes import clip_boxes
from detection.nms import nms
from detection.soft_nms import SoftNMS
from detection.targets import gather_boxes


@dataclasses.dataclass
class DetectionSelection:
    """Drops low scores and duplicates and keeps a fixed number of detections an image.

    Args:
        score_threshold: detections at or below this score are dropped.
        nms_threshold: IoU above which the lower scored detection of the same class is dropped
            (with a linear `soft_nms`: its score lowered).
        max_detections: int, detections kept per image.
        min_size: pixels; detections with a shorter side, after clipping, are dropped.
        soft_nms: a `SoftNMS` (or its config) instead of dropping duplicates; `None` for none.
        voting_iou: IoU from which the boxes of a class, as they are before duplicates are
            dropped, vote on the box of a detection; see `box_voting`. `None` for no voting.

    Call arguments:
        boxes: float32 tensor [B, N, num_classes, 4], or [B, N, 1, 4] for the same box in every
            class; pixels.
        scores: float32 tensor [B, N, num_classes].
        valid: bool tensor [B, N].
        image_sizes: int32 tensor [B, 2], true (height, width).

    Returns:
        dict of `boxes` float32 [B, D, 4], clipped to the image, `scores` float32 [B, D], best
        first, `classes` int32 [B, D] (-1 padded) and `num_detections` int32 [B].

    Example:

    >>> boxes = np.array([[[[0.0, 0, 4, 4]], [[0, 0, 4, 3.9]]]], "float32")
    >>> scores = np.array([[[0.9, 0.0], [0.8, 0.7]]], "float32")
    >>> found = DetectionSelection(max_detections=3)(
    ...     boxes, scores, np.array([[True, True]]), np.array([[8, 8]])
    ... )
    >>> np.asarray(found["classes"]).tolist()
    [[0, 1, -1]]
    """

    score_threshold: float = 0.05
    nms_threshold: float = 0.5
    max_detections: int = 100
    min_size: float = 0.0
    soft_nms: SoftNMS | None = None
    voting_iou: float | None = None

    def __post_init__(self):
        if isinstance(self.soft_nms, dict):
            self.soft_nms = SoftNMS(**self.soft_nms)

    def __call__(self, boxes, scores, valid, image_sizes):
        batch, count, num_classes = ops.shape(scores)
        candidates = count * num_classes
        boxes = ops.broadcast_to(boxes, (batch, count, num_classes, 4))
        boxes = clip_boxes(ops.reshape(boxes, (batch, candidates, 4)), image_sizes)
        scores = ops.reshape(scores, (batch, candidates))
        classes = ops.broadcast_to(
            ops.arange(num_classes, dtype="int32"), (batch, count, num_classes)
        )
        classes = ops.reshape(classes, (batch, candidates))
        valid = ops.repeat(valid, num_classes, axis=1) & (scores > self.score_threshold)
        if self.min_size > 0:
            valid = valid & ops.all(boxes[..., 2:] - boxes[..., :2] >= self.min_size, axis=-1)
        keep, kept, kept_scores = self._suppress(boxes, scores, classes, valid)
        kept_classes = ops.where(kept, ops.take_along_axis(classes, keep, axis=1), -1)
        kept_boxes = gather_boxes(boxes, keep)
        if self.voting_iou is not None:
            shape = (batch, count, num_classes)
            voters = ops.reshape(boxes, (*shape, 4))
            votes = ops.reshape(ops.where(valid, scores, 0.0), shape)
            kept_boxes = box_voting(kept_boxes, kept_classes, voters, votes, self.voting_iou)
        return {
            "boxes": ops.where(ops.expand_dims(kept, -1), kept_boxes, 0.0),
            "scores": kept_scores,
            "classes": kept_classes,
            "num_detections": ops.sum(ops.cast(kept, "int32"), axis=1),
        }

    def _suppress(self, boxes, scores, classes, valid):
        if self.soft_nms is not None:
            return self.soft_nms(
                boxes,
                scores,
                self.max_detections,
                self.nms_threshold,
                self.score_threshold,
                classes,
                valid,
            )
        keep, kept = nms(
            boxes, scores, self.nms_threshold, self.max_detections, classes=classes, valid=valid
        )
        return keep, kept, ops.where(kept, ops.take_along_axis(scores, keep, axis=1), 0.0)

    def get_config(self):
        """The arguments as plain data."""
        return dataclasses.asdict(self)
