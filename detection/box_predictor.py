"""The two output layers of the second stage: classes and boxes."""

import keras
from keras import ops

from detection.box_coder import BoxCoder
from detection.box_losses import BoxLoss
from detection.losses import softmax_cross_entropy
from keras_resnet.replicas import replica_count, sum_over_replicas


@keras.saving.register_keras_serializable(package="detection")
class BoxPredictor(keras.layers.Layer):
    """Scores the classes of regions and regresses their boxes; owns the losses of both.

    Args:
        num_classes: int, object classes without background.
        box_weights: scale of the regression targets (dx, dy, dw, dh).
        class_agnostic: bool, one box a region instead of one for every class.
        box_loss: a `BoxLoss` (or its config).

    Input: tensor `[R, D]`.
    Output: float32 class logits `[R, num_classes + 1]`, background last, and box deltas
    `[R, num_classes, 4]`, or `[R, 1, 4]` if class-agnostic.

    Raises:
        ValueError: without classes.

    Reference:
        Girshick, "Fast R-CNN" (2015), section 2.1.

    Example:

    >>> logits, deltas = BoxPredictor(3)(np.zeros((5, 16), "float32"))
    >>> tuple(logits.shape), tuple(deltas.shape)
    ((5, 4), (5, 3, 4))
    """

    def __init__(
        self,
        num_classes,
        box_weights=(10.0, 10.0, 5.0, 5.0),
        class_agnostic=False,
        box_loss=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_classes < 1:
            raise ValueError(f"At least one class is needed. Received: num_classes={num_classes}")
        self.num_classes = int(num_classes)
        self.box_weights = tuple(box_weights)
        self.class_agnostic = bool(class_agnostic)
        self.box_loss = BoxLoss(**box_loss) if isinstance(box_loss, dict) else box_loss or BoxLoss()
        self.box_coder = BoxCoder(weights=self.box_weights)
        # Logits and deltas stay float32 under mixed precision.
        self.classifier = keras.layers.Dense(
            self.num_classes + 1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="classifier",
            dtype="float32",
        )
        self.regressor = keras.layers.Dense(
            4 * self.boxes_per_region,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            name="regressor",
            dtype="float32",
        )

    @property
    def boxes_per_region(self):
        """Boxes that are regressed for a region: one, or one for every class."""
        return 1 if self.class_agnostic else self.num_classes

    def build(self, input_shape):
        self.classifier.build(input_shape)
        self.regressor.build(input_shape)
        self.built = True

    def call(self, inputs):
        deltas = ops.reshape(self.regressor(inputs), (-1, self.boxes_per_region, 4))
        return self.classifier(inputs), deltas

    def compute_output_shape(self, input_shape):
        count = input_shape[0]
        return (count, self.num_classes + 1), (count, self.boxes_per_region, 4)

    def scores(self, logits):
        """Probabilities of the classes, without background: float32 [..., num_classes]."""
        return ops.softmax(ops.cast(logits, "float32"), axis=-1)[..., : self.num_classes]

    def boxes(self, deltas, boxes):
        """Boxes that the deltas describe.

        Args:
            deltas: float32 tensor [B, N, num_classes or 1, 4].
            boxes: float32 tensor [B, N, 4], the regions, pixels.

        Returns:
            float32 tensor of the shape of `deltas`, not clipped to the image.
        """
        return self.box_coder.decode(deltas, ops.expand_dims(boxes, 2))

    def compute_losses(self, logits, deltas, samples):
        """Classification and box loss, both divided by the number of sampled regions.

        Args:
            logits: float32 tensor [B, S, num_classes + 1].
            deltas: float32 tensor [B, S, num_classes or 1, 4].
            samples: dict as of `label_regions`, of S regions an image.

        Returns:
            dict with the scalars `classification_loss` and `box_loss`.
        """
        sampled = sum_over_replicas(ops.sum(ops.cast(samples["valid"], "float32")))
        # Each replica's share: the mean over replicas is then that of the whole batch.
        total = ops.maximum(sampled, 1.0) / replica_count()
        cross_entropy = softmax_cross_entropy(logits, samples["classes"])
        if not self.class_agnostic:
            own = ops.minimum(samples["classes"], self.num_classes - 1)
            deltas = ops.take_along_axis(deltas, own[:, :, None, None], axis=2)
        box_loss = self.box_loss(
            ops.squeeze(deltas, 2), samples["boxes"], samples["ground_truth"], self.box_coder
        )
        return {
            "classification_loss": ops.sum(ops.where(samples["valid"], cross_entropy, 0.0)) / total,
            "box_loss": ops.sum(ops.where(samples["positive"], box_loss, 0.0)) / total,
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "box_weights": list(self.box_weights),
            "class_agnostic": self.class_agnostic,
            "box_loss": self.box_loss.get_config(),
        }
