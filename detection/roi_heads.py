"""The second stage: pools regions, classifies them and refines their boxes."""

import keras
from keras import ops

from detection.poolers import RoIPooler
from detection.region_sampling import RegionSampling
from detection.selection import DetectionSelection


@keras.saving.register_keras_serializable(package="detection")
class RoIHeads(keras.layers.Layer):
    """The second stage of Faster R-CNN, put together from parts.

    Calling the layer runs the networks on given regions; `compute_losses` samples regions to
    train on, and `detect` turns proposals into detections.

    Args:
        pooler: a `RoIPooler` (or its config).
        box_head: a layer from pooled regions `[R, S, S, C]` to vectors `[R, D]`: a `ConvFCHead`,
            or the `StageHead` of the C4 architecture.
        predictor: a `BoxPredictor`.
        sampling: a `RegionSampling` (or its config): the regions trained on.
        selection: a `DetectionSelection` (or its config): the boxes that are detections.

    Input: the pooled levels, a list of tensors `[B, H_l, W_l, C]`, and regions `[B, N, 4]` in
    pixels.
    Output: float32 class logits `[B, N, num_classes + 1]`, background last, and box deltas
    `[B, N, num_classes, 4]` (`[B, N, 1, 4]` if class-agnostic).

    Reference:
        Girshick, "Fast R-CNN" (2015); Lin et al., "Feature Pyramid Networks" (2017), section 4.2.

    Example:

    ```python
    heads = RoIHeads(RoIPooler(strides=(4, 8, 16, 32)), ConvFCHead(), BoxPredictor(num_classes=3))
    logits, deltas = heads([p2, p3, p4, p5], boxes)
    detections = heads.detect([p2, p3, p4, p5], boxes, valid, image_sizes)
    ```
    """

    def __init__(self, pooler, box_head, predictor, sampling=None, selection=None, **kwargs):
        super().__init__(**kwargs)
        # Keras would round the regions' coordinates to 16 bits under mixed precision.
        self.autocast = False
        self.pooler = _made(pooler, RoIPooler)
        self.box_head = box_head
        self.predictor = predictor
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

    def build(self, features_shape, boxes_shape=None):
        build_on_regions(self.box_head, self.predictor, self.pooler, features_shape)
        self.built = True

    def call(self, features, boxes, training=None):
        return predict_regions(self.pooler(features, boxes), self.box_head, self.predictor)

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
        samples = self.sampling(boxes, valid, y, noise, self.num_classes)
        logits, deltas = self(features, samples["boxes"], training=training)
        return self.predictor.compute_losses(logits, deltas, samples)

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
        logits, deltas = self(features, boxes, training=False)
        boxes, scores = self.predictor.boxes(deltas, boxes), self.predictor.scores(logits)
        return self.selection(boxes, scores, valid, image_sizes)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "pooler": self.pooler.get_config(),
            "box_head": serialize(self.box_head),
            "predictor": serialize(self.predictor),
            "sampling": self.sampling.get_config(),
            "selection": self.selection.get_config(),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for part in ("box_head", "predictor"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def build_on_regions(box_head, predictor, pooler, features_shape):
    """Builds a box head and a predictor on what `pooler` takes from features of these shapes."""
    shape = (None, pooler.size, pooler.size, features_shape[0][-1])
    if not box_head.built:
        box_head.build(shape)
    if not predictor.built:
        predictor.build(box_head.compute_output_shape(shape))


def predict_regions(pooled, box_head, predictor):
    """Runs a box head and a predictor on pooled regions `[B, N, S, S, C]`.

    Returns:
        `(logits [B, N, num_classes + 1], deltas [B, N, num_classes or 1, 4])`.
    """
    batch, count = ops.shape(pooled)[:2]
    logits, deltas = predictor(box_head(ops.reshape(pooled, (-1, *pooled.shape[2:]))))
    return (
        ops.reshape(logits, (batch, count, logits.shape[-1])),
        ops.reshape(deltas, (batch, count, *deltas.shape[1:])),
    )


def _made(options, kind):
    if options is None:
        return kind()
    return kind(**options) if isinstance(options, dict) else options
