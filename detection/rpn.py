"""The region proposal network (Ren et al. 2015, arXiv:1506.01497)."""

import keras
from keras import ops

from detection import losses
from detection.anchors import AnchorGenerator
from detection.box_coder import BoxCoder
from detection.boxes import clip_boxes
from detection.nms import nms
from detection.sampling import sample
from detection.targets import box_targets, gather_boxes, match_to_ground_truth
from detection.top_k import padded_top_k
from keras_resnet.replicas import replica_count, sum_over_replicas


@keras.saving.register_keras_serializable(package="detection")
class RegionProposalNetwork(keras.layers.Layer):
    """Scores anchors, regresses them to boxes and keeps the best as proposals.

    Calling the layer runs its convolutions only; `propose` turns their output
    into proposals and `compute_losses` compares it with the ground truth.

    Args:
        anchors: an `AnchorGenerator` (or its config) with one entry a level.
        filters: int, channels of the shared 3x3 convolution; `None` for as many
            as the input has.
        conv_depth: int, how many such convolutions follow each other.
        pre_nms: `(training, inference)` proposals kept per level before NMS.
        post_nms: `(training, inference)` proposals kept per image, all levels
            together, after NMS.
        nms_threshold: IoU above which the lower scored proposal is dropped.
        min_size: pixels; proposals with a shorter side are dropped.
        positive_iou: anchors with at least this IoU are positive, as are the
            best anchors of every ground-truth box.
        negative_iou: anchors below this IoU are negative; between the two an
            anchor is ignored.
        samples: int, anchors sampled per image for the losses.
        positive_fraction: largest share of positives among them.
        beta: where smooth L1 becomes linear; 0 for L1.
        normalize_by: `"fixed"` divides both losses by `samples * B`
            (detectron2), `"sampled"` by the anchors really sampled
            (torchvision).

    Input: list of tensors `[B, H_l, W_l, C]`.
    Output: `(objectness, deltas)`: lists of float32 tensors `[B, H_l W_l A]`
    and `[B, H_l W_l A, 4]`.

    Reference:
        Ren et al., "Faster R-CNN", section 3.1.

    Example:

    ```python
    anchors = AnchorGenerator(sizes=((32,), (64,)), aspect_ratios=(0.5, 1, 2), strides=(4, 8))
    rpn = RegionProposalNetwork(anchors)
    objectness, deltas = rpn([p2, p3])
    boxes, scores, valid = rpn.propose(objectness, deltas, rpn.anchors_for([p2, p3]), sizes)
    ```
    """

    def __init__(
        self,
        anchors,
        filters=None,
        pre_nms=(2000, 1000),
        post_nms=(1000, 1000),
        nms_threshold=0.7,
        min_size=0.0,
        positive_iou=0.7,
        negative_iou=0.3,
        samples=256,
        positive_fraction=0.5,
        beta=0.0,
        normalize_by="fixed",
        conv_depth=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # The output layers, used without being called, stay float32 under mixed precision.
        self.autocast = False
        if normalize_by not in ("fixed", "sampled"):
            raise ValueError(
                "`normalize_by` must be 'fixed' or 'sampled'. "
                f"Received: normalize_by={normalize_by!r}"
            )
        if conv_depth < 1:
            raise ValueError(f"`conv_depth` must be at least 1. Received: conv_depth={conv_depth}")
        if isinstance(anchors, dict):
            anchors = AnchorGenerator(**anchors)
        self.anchor_generator = anchors
        self.filters = filters
        self.pre_nms = tuple(pre_nms)
        self.post_nms = tuple(post_nms)
        self.nms_threshold = nms_threshold
        self.min_size = min_size
        self.positive_iou = positive_iou
        self.negative_iou = negative_iou
        self.samples = samples
        self.positive_fraction = positive_fraction
        self.beta = beta
        self.normalize_by = normalize_by
        self.conv_depth = int(conv_depth)
        self.box_coder = BoxCoder()

    def build(self, input_shape):
        channels = input_shape[0][-1]
        filters = self.filters or channels
        per_location = self.anchor_generator.num_anchors_per_location
        counts = {per_location} if isinstance(per_location, int) else set(per_location)
        if len(counts) != 1:
            raise ValueError(
                "The RPN's convolutions are shared by all levels, so every level needs the same "
                f"number of anchors per location. Received: {per_location}"
            )
        (self.num_anchors,) = counts

        def convolution(filters, kernel_size, name, dtype, **kwargs):
            return keras.layers.Conv2D(
                filters,
                kernel_size,
                padding="same",
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                name=name,
                dtype=dtype,
                **kwargs,
            )

        self.convolutions = [
            convolution(
                filters,
                3,
                f"convolution_{i + 1}" if i else "convolution",
                self.dtype_policy,
                activation="relu",
            )
            for i in range(self.conv_depth)
        ]
        # In 16 bits, many anchors would share a score and their order be arbitrary.
        self.objectness = convolution(self.num_anchors, 1, "objectness", "float32")
        self.deltas = convolution(4 * self.num_anchors, 1, "deltas", "float32")
        for layer in self.convolutions:
            layer.build((None, None, None, channels))
            channels = filters
        self.objectness.build((None, None, None, filters))
        self.deltas.build((None, None, None, filters))
        self.built = True

    def call(self, features):
        objectness, deltas = [], []
        for feature in features:
            hidden = feature
            for layer in self.convolutions:
                hidden = layer(hidden)
            batch = ops.shape(feature)[0]
            # Flattened in the order (y, x, anchor), the order of the anchors.
            scores, offsets = self._outputs(hidden)
            objectness.append(ops.reshape(scores, (batch, -1)))
            deltas.append(ops.reshape(offsets, (batch, -1, 4)))
        return objectness, deltas

    def _outputs(self, hidden):
        """Runs both output layers as one convolution, which reads the map once."""
        layers = self.objectness, self.deltas
        kernel = ops.concatenate([layer.kernel for layer in layers], axis=-1)
        bias = ops.concatenate([layer.bias for layer in layers], axis=-1)
        outputs = ops.conv(ops.cast(hidden, "float32"), kernel, padding="same")
        outputs = ops.add(outputs, bias)
        return outputs[..., : self.num_anchors], outputs[..., self.num_anchors :]

    def anchors_for(self, features, image_shape=None):
        """The anchors of feature maps, one float32 tensor [H_l W_l A, 4] a level.

        Args:
            features: list of tensors `[B, H_l, W_l, C]`.
            image_shape: `(height, width)` of the padded images, for an `AnchorGenerator` that
                needs it.
        """
        return self.anchor_generator([ops.shape(feature)[1:3] for feature in features], image_shape)

    def propose(self, objectness, deltas, anchors, image_sizes, training=False):
        """Turns the RPN's output into proposals.

        Args:
            objectness: list of float32 tensors [B, N_l], logits.
            deltas: list of float32 tensors [B, N_l, 4].
            anchors: list of float32 tensors [N_l, 4].
            image_sizes: int32 tensor [B, 2], true (height, width) in pixels.
            training: which of `pre_nms` and `post_nms` holds.

        Returns:
            `(boxes [B, P, 4], scores [B, P], valid [B, P])` in order of score;
            no gradient flows through them.
        """
        pre_nms = self.pre_nms[0 if training else 1]
        post_nms = self.post_nms[0 if training else 1]
        all_boxes, all_scores = [], []
        for level_scores, level_deltas, level_anchors in zip(objectness, deltas, anchors):
            scores, indices, valid = padded_top_k(ops.stop_gradient(level_scores), pre_nms)
            offsets = gather_boxes(ops.stop_gradient(level_deltas), indices)
            boxes = self.box_coder.decode(offsets, ops.take(level_anchors, indices, axis=0))
            boxes = clip_boxes(boxes, image_sizes)
            sides = boxes[..., 2:] - boxes[..., :2]
            valid = valid & ops.all(sides > 0, axis=-1) & ops.all(sides >= self.min_size, axis=-1)
            keep, kept = nms(
                boxes, scores, self.nms_threshold, min(post_nms, scores.shape[1]), valid=valid
            )
            all_boxes.append(gather_boxes(boxes, keep))
            scores = ops.take_along_axis(scores, keep, axis=1)
            all_scores.append(ops.where(kept, scores, float("-inf")))
        boxes = ops.concatenate(all_boxes, axis=1)
        scores, indices, valid = padded_top_k(ops.concatenate(all_scores, axis=1), post_nms)
        boxes = gather_boxes(boxes, indices)
        boxes = ops.where(ops.expand_dims(valid, -1), boxes, 0.0)
        return ops.stop_gradient(boxes), ops.where(valid, scores, 0.0), valid

    def compute_losses(self, objectness, deltas, anchors, y, noise):
        """Objectness and box loss of the sampled anchors.

        Args:
            objectness, deltas, anchors: as for `propose`.
            y: ground truth as `FasterRCNN` takes it, with a bool `is_crowd`.
            noise: float32 tensor [B, sum N_l], uniform in [0, 1): decides which
                anchors are sampled.

        Returns:
            dict with the scalars `rpn_objectness_loss` and `rpn_box_loss`.
        """
        objectness = ops.concatenate(objectness, axis=1)
        deltas = ops.concatenate(deltas, axis=1)
        anchors = ops.concatenate(anchors, axis=0)
        matched, labels = match_to_ground_truth(
            ops.expand_dims(anchors, 0),
            y,
            positive=self.positive_iou,
            negative=self.negative_iou,
            allow_low_quality=True,
        )
        indices, valid, positive = sample(labels, self.samples, self.positive_fraction, noise)
        logits = ops.take_along_axis(objectness, indices, axis=1)
        objectness_loss = ops.sum(
            ops.where(valid, losses.binary_cross_entropy(logits, positive), 0.0)
        )
        # Box targets of the (few) positives only.
        count = int(self.samples * self.positive_fraction)
        indices, positive = indices[:, :count], positive[:, :count]
        targets = box_targets(
            self.box_coder,
            y["boxes"],
            ops.take_along_axis(matched, indices, axis=1),
            ops.take(anchors, indices, axis=0),
            positive,
        )
        predictions = gather_boxes(deltas, indices)
        box_loss = ops.sum(
            ops.where(positive, losses.smooth_l1(predictions, targets, self.beta), 0.0)
        )
        if self.normalize_by == "fixed":
            total = ops.cast(ops.shape(logits)[0] * self.samples, "float32")
        else:
            sampled = sum_over_replicas(ops.sum(ops.cast(valid, "float32")))
            # Each replica's share: the mean over replicas is then that of the whole batch.
            total = ops.maximum(sampled, 1.0) / replica_count()
        return {"rpn_objectness_loss": objectness_loss / total, "rpn_box_loss": box_loss / total}

    def get_config(self):
        return {
            **super().get_config(),
            "anchors": self.anchor_generator.get_config(),
            "filters": self.filters,
            "pre_nms": list(self.pre_nms),
            "post_nms": list(self.post_nms),
            "nms_threshold": self.nms_threshold,
            "min_size": self.min_size,
            "positive_iou": self.positive_iou,
            "negative_iou": self.negative_iou,
            "samples": self.samples,
            "positive_fraction": self.positive_fraction,
            "beta": self.beta,
            "normalize_by": self.normalize_by,
            "conv_depth": self.conv_depth,
        }
