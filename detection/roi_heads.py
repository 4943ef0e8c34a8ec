"""The second stage: pools regions, classifies them and refines their boxes."""

import keras
from keras import ops

from detection.box_refinement import refine_boxes
from detection.second_stage import SecondStage


@keras.saving.register_keras_serializable(package="detection")
class RoIHeads(SecondStage):
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
        refinements: int, how often in inference regions are pooled and classified again at the
            boxes regressed from them; see `refine_boxes`.
        context: bool, global context: the whole image goes through pooling and box head as a
            region does, and every region's vector gets that of its image appended.

    Input: the pooled levels, a list of tensors `[B, H_l, W_l, C]`, regions `[B, N, 4]` in pixels
    and, with `context`, the true sizes int32 `[B, 2]` of the images, (height, width).
    Output: float32 class logits `[B, N, num_classes + 1]`, background last, and box deltas
    `[B, N, num_classes, 4]` (`[B, N, 1, 4]` if class-agnostic).

    Reference:
        Girshick, "Fast R-CNN" (2015); Lin et al., "Feature Pyramid Networks" (2017), section 4.2;
        He et al., "Deep Residual Learning for Image Recognition", appendix B (refinement, context).

    Example:

    ```python
    heads = RoIHeads(RoIPooler(strides=(4, 8, 16, 32)), ConvFCHead(), BoxPredictor(num_classes=3))
    logits, deltas = heads([p2, p3, p4, p5], boxes)
    detections = heads.detect([p2, p3, p4, p5], boxes, valid, image_sizes)
    ```
    """

    def __init__(
        self,
        pooler,
        box_head,
        predictor,
        sampling=None,
        selection=None,
        refinements=0,
        context=False,
        **kwargs,
    ):
        super().__init__(pooler, sampling, selection, **kwargs)
        if refinements < 0:
            raise ValueError(f"`refinements` counts rounds. Received: refinements={refinements}")
        self.box_head = box_head
        self.predictor = predictor
        self.refinements = int(refinements)
        self.context = bool(context)

    def build(self, features_shape, boxes_shape=None):
        build_on_regions(self.box_head, self.predictor, self.pooler, features_shape, self.context)
        self.built = True

    def call(self, features, boxes, image_sizes=None, training=None):
        return self.predict(lambda regions: self.vectors(features, regions), boxes, image_sizes)

    def vectors(self, features, boxes):
        """The vectors of regions, `[B, N, D]`: pooled, and through the box head."""
        return region_vectors(self.pooler(features, boxes), self.box_head)

    def predict(self, vectors, boxes, image_sizes=None):
        """Runs the output layers on regions, wherever their vectors come from.

        Args:
            vectors: function of boxes [B, N, 4] to vectors [B, N, D].
            boxes: float32 tensor [B, N, 4], pixels.
            image_sizes: int32 tensor [B, 2], true (height, width); for `context` only.

        Returns:
            `(logits, deltas)` as of the layer's call.

        Raises:
            ValueError: with `context` and without `image_sizes`.
        """
        if not self.context:
            return predict_vectors(vectors(boxes), self.predictor)
        if image_sizes is None:
            raise ValueError(
                "With `context`, the true sizes of the images are needed. "
                "Received: image_sizes=None"
            )
        found = vectors(ops.concatenate([_whole_images(image_sizes), boxes], axis=1))
        whole, found = found[:, :1], found[:, 1:]
        found = ops.concatenate([found, ops.broadcast_to(whole, ops.shape(found))], axis=-1)
        return predict_vectors(found, self.predictor)

    def compute_losses(self, features, boxes, valid, y, noise, image_sizes, training=True):
        samples = self.sampling(boxes, valid, y, noise, self.num_classes)
        logits, deltas = self(features, samples["boxes"], image_sizes, training=training)
        return self.predictor.compute_losses(logits, deltas, samples)

    def candidates(self, features, boxes, valid, image_sizes):
        def predict(regions):
            logits, deltas = self(features, regions, image_sizes, training=False)
            return self.predictor.boxes(deltas, regions), self.predictor.scores(logits)

        return refine_boxes(predict, boxes, valid, image_sizes, self.refinements)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "box_head": serialize(self.box_head),
            "predictor": serialize(self.predictor),
            "refinements": self.refinements,
            "context": self.context,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for part in ("box_head", "predictor"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def build_on_regions(box_head, predictor, pooler, features_shape, context=False):
    """Builds a box head and a predictor on what `pooler` takes from features of these shapes."""
    shape = (None, pooler.size, pooler.size, features_shape[0][-1])
    if not box_head.built:
        box_head.build(shape)
    if not predictor.built:
        count, width = box_head.compute_output_shape(shape)
        predictor.build((count, 2 * width if context else width))


def predict_regions(pooled, box_head, predictor):
    """Runs a box head and a predictor on pooled regions `[B, N, S, S, C]`.

    Returns:
        `(logits [B, N, num_classes + 1], deltas [B, N, num_classes or 1, 4])`.
    """
    return predict_vectors(region_vectors(pooled, box_head), predictor)


def region_vectors(pooled, box_head):
    """Runs a box head on pooled regions `[B, N, S, S, C]`: vectors `[B, N, D]`."""
    batch, count = ops.shape(pooled)[:2]
    vectors = box_head(ops.reshape(pooled, (-1, *pooled.shape[2:])))
    return ops.reshape(vectors, (batch, count, vectors.shape[-1]))


def predict_vectors(vectors, predictor):
    """Runs a predictor on the vectors `[B, N, D]` of regions.

    Returns:
        `(logits [B, N, num_classes + 1], deltas [B, N, num_classes or 1, 4])`.
    """
    batch, count = ops.shape(vectors)[:2]
    logits, deltas = predictor(ops.reshape(vectors, (-1, vectors.shape[-1])))
    return (
        ops.reshape(logits, (batch, count, logits.shape[-1])),
        ops.reshape(deltas, (batch, count, *deltas.shape[1:])),
    )


def _whole_images(image_sizes):
    """The boxes [B, 1, 4] of whole images, without their padding."""
    size = ops.cast(image_sizes, "float32")[:, None, ::-1]
    return ops.concatenate([ops.zeros_like(size), size], axis=-1)
