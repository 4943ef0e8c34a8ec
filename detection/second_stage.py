"""What every second stage has: pooling, sampling and the selection of detections."""

import keras

from detection.poolers import RoIPooler
from detection.region_sampling import RegionSampling
from detection.selection import DetectionSelection


class SecondStage(keras.layers.Layer):
    """Base of the layers that turn proposals into detections.

    A subclass has a `predictor`, the `BoxPredictor` whose boxes become detections, and the methods
    `compute_losses` and `candidates`.

    Args:
        pooler: a `RoIPooler` (or its config).
        sampling: a `RegionSampling` (or its config): the regions trained on.
        selection: a `DetectionSelection` (or its config): the boxes that are detections.
    """

    def __init__(self, pooler, sampling=None, selection=None, **kwargs):
        super().__init__(**kwargs)
        # Keras would round the regions' coordinates to 16 bits under mixed precision.
        self.autocast = False
        self.pooler = _made(pooler, RoIPooler)
        self.sampling = _made(sampling, RegionSampling)
        self.selection = _made(selection, DetectionSelection)

    @property
    def num_classes(self):
        """Object classes without background."""
        return self.predictor.num_classes

    @property
    def strides(self):
        """Pixels per cell of each pooled level, finest first."""
        return self.pooler.strides

    @property
    def classifier(self):
        """The layer of the class logits."""
        return self.predictor.classifier

    @property
    def regressor(self):
        """The layer of the box deltas."""
        return self.predictor.regressor

    def compute_losses(self, features, boxes, valid, y, noise, image_sizes, training=True):
        """Samples regions and compares what is predicted for them with the ground truth.

        Args:
            features: list of tensors [B, H_l, W_l, C], the pooled levels.
            boxes: float32 tensor [B, P, 4], proposals in pixels.
            valid: bool tensor [B, P].
            y: ground truth as `FasterRCNN` takes it, with a bool `is_crowd`, M boxes an image.
            noise: float32 tensor [B, P + M], uniform in [0, 1): decides which regions are
                sampled.
            image_sizes: int32 tensor [B, 2], true (height, width).
            training: bool, for norms.

        Returns:
            dict with the scalars `classification_loss` and `box_loss`.
        """
        raise NotImplementedError

    def candidates(self, features, boxes, valid, image_sizes):
        """Everything that is predicted for proposals, before detections are selected.

        Args:
            features, boxes, valid, image_sizes: as for `detect`.

        Returns:
            `(boxes [B, M, num_classes or 1, 4], scores [B, M, num_classes], valid [B, M])`.
        """
        raise NotImplementedError

    def detect(self, features, boxes, valid, image_sizes):
        """Turns proposals into detections.

        Args:
            features: list of tensors [B, H_l, W_l, C], the pooled levels.
            boxes: float32 tensor [B, P, 4], the proposals.
            valid: bool tensor [B, P].
            image_sizes: int32 tensor [B, 2], true (height, width).

        Returns:
            dict of `boxes` float32 [B, D, 4], `scores` float32 [B, D], `classes` int32 [B, D]
            (-1 padded) and `num_detections` int32 [B].
        """
        candidates = self.candidates(features, boxes, valid, image_sizes)
        return self.selection(*candidates, image_sizes)

    def get_config(self):
        return {
            **super().get_config(),
            "pooler": self.pooler.get_config(),
            "sampling": self.sampling.get_config(),
            "selection": self.selection.get_config(),
        }


def _made(options, kind):
    if options is None:
        return kind()
    return kind(**options) if isinstance(options, dict) else options
