"""Cascade R-CNN: box heads one after the other, each on the boxes that the one before refined."""

import keras
from keras import ops

from detection.boxes import clip_boxes
from detection.region_sampling import label_regions
from detection.roi_heads import build_on_regions, predict_regions
from detection.second_stage import SecondStage


@keras.saving.register_keras_serializable(package="detection")
class CascadeRoIHeads(SecondStage):
    """A second stage of several box heads, trained for growing overlap with the ground truth.

    Every head regresses one box a region (class-agnostic), which is where the next head looks.
    Detections are the boxes of the last head with the mean of all heads' scores.

    Args:
        pooler: a `RoIPooler` (or its config), shared by the heads.
        box_heads: list of layers from pooled regions to vectors, one a stage.
        predictors: list of class-agnostic `BoxPredictor`s, usually with growing `box_weights`.
        ious: list of floats, from which overlap on a region is foreground at each stage.
        sampling: a `RegionSampling` (or its config); its `positive_iou` is `ious[0]`. Later stages
            are trained on the same regions, refined.
        selection: a `DetectionSelection` (or its config): the boxes that are detections.

    Input: the pooled levels, a list of tensors `[B, H_l, W_l, C]`, regions `[B, N, 4]` in pixels,
    and the stage, an int.
    Output: class logits `[B, N, num_classes + 1]` and box deltas `[B, N, 1, 4]` of that stage.

    Raises:
        ValueError: for lists of different lengths, or a predictor that is not class-agnostic.

    Reference:
        Cai and Vasconcelos, "Cascade R-CNN" (2018), section 4.

    Example:

    ```python
    weights = (10, 10, 5, 5), (20, 20, 10, 10), (30, 30, 15, 15)
    heads = CascadeRoIHeads(
        RoIPooler(strides=(4, 8, 16, 32)),
        [ConvFCHead(name=f"box_head_{i}") for i in (1, 2, 3)],
        [BoxPredictor(3, w, class_agnostic=True) for w in weights],
    )
    ```
    """

    def __init__(
        self,
        pooler,
        box_heads,
        predictors,
        ious=(0.5, 0.6, 0.7),
        sampling=None,
        selection=None,
        **kwargs,
    ):
        if not len(box_heads) == len(predictors) == len(ious) > 0:
            raise ValueError(
                "`box_heads`, `predictors` and `ious` need one entry for each stage. Received: "
                f"{len(box_heads)} box heads, {len(predictors)} predictors, ious={ious}"
            )
        if not all(predictor.class_agnostic for predictor in predictors):
            raise ValueError(
                "A stage gives one box a region to the next: predictors must be class-agnostic. "
                f"Received: class_agnostic={[p.class_agnostic for p in predictors]}"
            )
        super().__init__(pooler, sampling, selection, **kwargs)
        self.box_heads = list(box_heads)
        self.predictors = list(predictors)
        self.ious = tuple(ious)
        if self.sampling.positive_iou != self.ious[0]:
            raise ValueError(
                "The first stage is trained on the regions sampled: `sampling.positive_iou` must "
                f"be `ious[0]`. Received: {self.sampling.positive_iou}, ious={self.ious}"
            )

    @property
    def predictor(self):
        """That of the last stage."""
        return self.predictors[-1]

    def build(self, features_shape, boxes_shape=None):
        for box_head, predictor in zip(self.box_heads, self.predictors):
            build_on_regions(box_head, predictor, self.pooler, features_shape)
        self.built = True

    def call(self, features, boxes, stage=-1, training=None):
        pooled = self.pooler(features, boxes)
        if training:
            # All stages together must not change the features faster than a single one.
            share = 1.0 / len(self.box_heads)
            pooled = pooled * share + ops.stop_gradient(pooled * (1.0 - share))
        return predict_regions(pooled, self.box_heads[stage], self.predictors[stage])

    def compute_losses(self, features, boxes, valid, y, noise, image_sizes, training=True):
        samples = self.sampling(boxes, valid, y, noise, self.num_classes)
        totals = {"classification_loss": 0.0, "box_loss": 0.0}
        for stage, predictor in enumerate(self.predictors):
            logits, deltas = self(features, samples["boxes"], stage=stage, training=training)
            losses = predictor.compute_losses(logits, deltas, samples)
            totals = {name: total + losses[name] for name, total in totals.items()}
            if predictor is not self.predictor:
                boxes, refined = _refined(predictor, deltas, samples["boxes"], image_sizes)
                valid = samples["valid"] & refined
                samples = label_regions(boxes, valid, y, self.ious[stage + 1], self.num_classes)
        return totals

    def candidates(self, features, boxes, valid, image_sizes):
        mean = 0.0
        for stage, predictor in enumerate(self.predictors):
            logits, deltas = self(features, boxes, stage=stage, training=False)
            mean = mean + predictor.scores(logits) / len(self.predictors)
            if predictor is not self.predictor:
                boxes, _ = _refined(predictor, deltas, boxes, image_sizes)
        return self.predictor.boxes(deltas, boxes), mean, valid

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "box_heads": [serialize(layer) for layer in self.box_heads],
            "predictors": [serialize(layer) for layer in self.predictors],
            "ious": list(self.ious),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for part in ("box_heads", "predictors"):
            config[part] = [keras.saving.deserialize_keras_object(c) for c in config[part]]
        return cls(**config)


def _refined(predictor, deltas, boxes, image_sizes):
    """Boxes after a stage, clipped to the image, and which of them are not empty."""
    boxes = ops.squeeze(predictor.boxes(deltas, boxes), 2)
    boxes = ops.stop_gradient(clip_boxes(boxes, image_sizes))
    return boxes, ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
