"""The second stage: samples proposals, pools features, classifies and refines boxes."""

import keras
from keras import ops

from detection import losses
from detection.box_coder import BoxCoder
from detection.boxes import clip_boxes
from detection.nms import nms
from detection.roi_align import multilevel_roi_align
from detection.sampling import sample
from detection.targets import box_targets, gather_boxes, match_to_ground_truth


@keras.saving.register_keras_serializable(package="detection")
class RoIHeads(keras.layers.Layer):
    """Box head of Faster R-CNN on a feature pyramid.

    Args:
        num_classes: int, object classes without background.
        strides: pixels per cell of each pooled level, finest first.
        hidden: units of the fully connected layers.
        pool_size: cells per side of a pooled region.
        sampling_ratio: samples per cell and axis in RoIAlign.
        canonical_size: pixels; regions of this size (square root of the area)
            are pooled from level `canonical_level`.
        canonical_level: level number, e.g. 4 for P4.
        min_level: number of the finest pooled level, e.g. 2 for P2.
        samples: int, regions sampled per image for the losses.
        positive_fraction: largest share of foreground among them.
        positive_iou: regions with at least this IoU are foreground, the others
            background.
        box_weights: scale of the regression targets (dx, dy, dw, dh).
        beta: where smooth L1 becomes linear; 0 for L1.
        score_threshold: detections at or below this score are dropped.
        nms_threshold: IoU above which the lower scored detection of the same
            class is dropped.
        max_detections: int, detections kept per image.

    Input: the pooled levels, a list of tensors `[B, H_l, W_l, C]`, and regions
    `[B, N, 4]` in pixels.
    Output: float32 class logits `[B, N, num_classes + 1]`, background last, and
    box deltas `[B, N, num_classes, 4]`.

    Reference:
        Girshick, "Fast R-CNN" (2015); Lin et al., "Feature Pyramid Networks"
        (2017), section 4.2.

    Example:

    ```python
    heads = RoIHeads(num_classes=3, strides=(4, 8, 16, 32))
    logits, deltas = heads([p2, p3, p4, p5], boxes)
    detections = heads.detect(logits, deltas, boxes, valid, image_sizes)
    ```
    """

    def __init__(
        self,
        num_classes,
        strides=(4, 8, 16, 32),
        hidden=(1024, 1024),
        pool_size=7,
        sampling_ratio=2,
        canonical_size=224,
        canonical_level=4,
        min_level=2,
        samples=512,
        positive_fraction=0.25,
        positive_iou=0.5,
        box_weights=(10.0, 10.0, 5.0, 5.0),
        beta=0.0,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # Keras would round the regions' coordinates to 16 bits under mixed precision.
        self.autocast = False
        if num_classes < 1:
            raise ValueError(f"At least one class is needed. Received: num_classes={num_classes}")
        self.num_classes = int(num_classes)
        self.strides = tuple(strides)
        self.hidden = tuple(hidden)
        self.pool_size = pool_size
        self.sampling_ratio = sampling_ratio
        self.canonical_size = canonical_size
        self.canonical_level = canonical_level
        self.min_level = min_level
        self.samples = samples
        self.positive_fraction = positive_fraction
        self.positive_iou = positive_iou
        self.box_weights = tuple(box_weights)
        self.beta = beta
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.max_detections = max_detections
        self.box_coder = BoxCoder(weights=self.box_weights)

    def build(self, features_shape, boxes_shape=None):
        units = self.pool_size**2 * features_shape[0][-1]
        self.dense = []
        for index, width in enumerate(self.hidden):
            # As the reference: Kaiming uniform with a = 1.
            layer = keras.layers.Dense(
                width,
                activation="relu",
                kernel_initializer=keras.initializers.VarianceScaling(
                    1.0, mode="fan_in", distribution="uniform"
                ),
                name=f"dense_{index + 1}",
                dtype=self.dtype_policy,
            )
            layer.build((None, units))
            self.dense.append(layer)
            units = width
        # Logits and deltas stay float32 under mixed precision.
        self.classifier = keras.layers.Dense(
            self.num_classes + 1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="classifier",
            dtype="float32",
        )
        self.regressor = keras.layers.Dense(
            4 * self.num_classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            name="regressor",
            dtype="float32",
        )
        self.classifier.build((None, units))
        self.regressor.build((None, units))
        self.built = True

    def call(self, features, boxes):
        pooled = multilevel_roi_align(
            features,
            boxes,
            self.strides,
            output_size=self.pool_size,
            sampling_ratio=self.sampling_ratio,
            canonical_size=self.canonical_size,
            canonical_level=self.canonical_level,
            min_level=self.min_level,
        )
        batch, count = ops.shape(boxes)[:2]
        units = self.pool_size**2 * features[0].shape[-1]
        hidden = ops.reshape(pooled, (-1, units))
        for layer in self.dense:
            hidden = layer(hidden)
        logits = ops.reshape(self.classifier(hidden), (batch, count, self.num_classes + 1))
        deltas = ops.reshape(self.regressor(hidden), (batch, count, self.num_classes, 4))
        return logits, deltas

    def sample_proposals(self, boxes, valid, y, noise):
        """Chooses the regions to train on; the ground truth is added to the proposals.

        Args:
            boxes: float32 tensor [B, P, 4], proposals in pixels.
            valid: bool tensor [B, P].
            y: ground truth as `FasterRCNN` takes it, with a bool `is_crowd`, M
                boxes an image.
            noise: float32 tensor [B, P + M], uniform in [0, 1).

        Returns:
            dict of `boxes` [B, S, 4], `classes` int32 [B, S] (`num_classes` is
            background), `targets` float32 [B, S, 4], `positive` and `valid`
            bool [B, S].
        """
        real = (y["classes"] >= 0) & ~y["is_crowd"]
        boxes = ops.concatenate([boxes, ops.cast(y["boxes"], "float32")], axis=1)
        valid = ops.concatenate([valid, real], axis=1)
        matched, labels = match_to_ground_truth(
            boxes,
            y,
            positive=self.positive_iou,
            negative=self.positive_iou,
            allow_low_quality=False,
        )
        labels = ops.where(valid, labels, -1)
        indices, valid, positive = sample(labels, self.samples, self.positive_fraction, noise)
        boxes = gather_boxes(boxes, indices)
        matched = ops.take_along_axis(matched, indices, axis=1)
        classes = ops.take_along_axis(ops.cast(y["classes"], "int32"), matched, axis=1)
        return {
            "boxes": ops.stop_gradient(boxes),
            "classes": ops.where(positive, classes, self.num_classes),
            "targets": box_targets(self.box_coder, y["boxes"], matched, boxes, positive),
            "positive": positive,
            "valid": valid,
        }

    def compute_losses(self, logits, deltas, samples):
        """Classification and box loss, both divided by the number of sampled regions.

        Args:
            logits: float32 tensor [B, S, num_classes + 1].
            deltas: float32 tensor [B, S, num_classes, 4].
            samples: what `sample_proposals` returned.

        Returns:
            dict with the scalars `classification_loss` and `box_loss`.
        """
        total = ops.maximum(ops.sum(ops.cast(samples["valid"], "float32")), 1.0)
        cross_entropy = losses.softmax_cross_entropy(logits, samples["classes"])
        # Positives come first, so the rest needs no box loss.
        count = int(self.samples * self.positive_fraction)
        positive = samples["positive"][:, :count]
        classes = ops.minimum(samples["classes"][:, :count], self.num_classes - 1)
        own = ops.squeeze(
            ops.take_along_axis(deltas[:, :count], classes[:, :, None, None], axis=2), 2
        )
        box_loss = losses.smooth_l1(own, samples["targets"][:, :count], self.beta)
        return {
            "classification_loss": ops.sum(ops.where(samples["valid"], cross_entropy, 0.0)) / total,
            "box_loss": ops.sum(ops.where(positive, box_loss, 0.0)) / total,
        }

    def detect(self, logits, deltas, boxes, valid, image_sizes):
        """Turns the head's output into detections.

        Args:
            logits: float32 tensor [B, P, num_classes + 1].
            deltas: float32 tensor [B, P, num_classes, 4].
            boxes: float32 tensor [B, P, 4], the proposals.
            valid: bool tensor [B, P].
            image_sizes: int32 tensor [B, 2], true (height, width).

        Returns:
            dict of `boxes` float32 [B, D, 4], `scores` float32 [B, D],
            `classes` int32 [B, D] (-1 padded) and `num_detections` int32 [B].
        """
        batch, count = ops.shape(boxes)[:2]
        candidates = count * self.num_classes
        scores = ops.softmax(logits, axis=-1)[..., : self.num_classes]
        boxes = self.box_coder.decode(deltas, ops.expand_dims(boxes, 2))
        boxes = clip_boxes(ops.reshape(boxes, (batch, candidates, 4)), image_sizes)
        scores = ops.reshape(scores, (batch, candidates))
        classes = ops.broadcast_to(
            ops.arange(self.num_classes, dtype="int32"), (batch, count, self.num_classes)
        )
        classes = ops.reshape(classes, (batch, candidates))
        keep, kept = nms(
            boxes,
            scores,
            self.nms_threshold,
            self.max_detections,
            score_threshold=self.score_threshold,
            classes=classes,
            valid=ops.repeat(valid, self.num_classes, axis=1),
        )
        return {
            "boxes": ops.where(ops.expand_dims(kept, -1), gather_boxes(boxes, keep), 0.0),
            "scores": ops.where(kept, ops.take_along_axis(scores, keep, axis=1), 0.0),
            "classes": ops.where(kept, ops.take_along_axis(classes, keep, axis=1), -1),
            "num_detections": ops.sum(ops.cast(kept, "int32"), axis=1),
        }

    def get_config(self):
        names = (
            "num_classes",
            "pool_size",
            "sampling_ratio",
            "canonical_size",
            "canonical_level",
            "min_level",
            "samples",
            "positive_fraction",
            "positive_iou",
            "beta",
            "score_threshold",
            "nms_threshold",
            "max_detections",
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "strides": list(self.strides),
            "hidden": list(self.hidden),
            "box_weights": list(self.box_weights),
        }
