"""Faster R-CNN: wires backbone, neck, RPN and RoI heads into one Keras model."""

import keras
from keras import ops

from detection.detector_methods import DetectorMethods
from detection.pixels import PIXEL_MEAN, PIXEL_STD
from detection.two_stage_training import LOSSES, TwoStageTraining
from keras_resnet.training.devices import choose_jit

__all__ = ["LOSSES", "FasterRCNN"]


@keras.saving.register_keras_serializable(package="detection")
class FasterRCNN(DetectorMethods, TwoStageTraining, keras.Model):
    """A two-stage detector, trained by `fit` and called for detections.

    `model(x, training=True)` gives the first stage's output, on which
    `compute_loss` samples and runs the second stage; `model(x)` gives
    detections. Use `detection.build_model` to make one from a config.

    Args:
        backbone: a model from images `[B, H, W, 3]` to a dict of feature maps,
            e.g. `keras_resnet.feature_extractor(...)`.
        neck: a layer from that dict to a list of levels, e.g. `FeaturePyramid`.
        rpn: a `RegionProposalNetwork` on all levels of the neck.
        roi_heads: `RoIHeads` on its first `len(roi_heads.strides)` levels.
        categories: sequence of `{"id": ..., "name": ...}`: what contiguous class
            `i` is called in the data set. Numbered from 0 when not given.
        pixel_mean: mean of each channel, for pixels in 0..255.
        pixel_std: standard deviation of each channel.
        preprocessing: dict that travels with the model and says how images are
            resized: `{"min_side": int, "max_side": int, "size_divisor": int}`, and
            optionally `"rounding": "floor"` where their sides are not rounded to the
            nearest pixel.
        architecture: dict of the `ModelConfig` the model was built from, if it was:
            what `save_model` writes.
        seed: int, seed of the sampling of anchors and regions in training.

    Input `x`: dict of `images` `[B, H, W, 3]`, RGB in 0..255, any numeric dtype,
    padded at the bottom and right, and `image_sizes` int32 `[B, 2]`, the true
    height and width.

    Ground truth `y`: dict of `boxes` float32 `[B, M, 4]` as `(x1, y1, x2, y2)` in
    pixels, `classes` int32 `[B, M]` with -1 for padding and, optional, `is_crowd`
    bool `[B, M]`.

    Output: dict of `boxes` float32 `[B, D, 4]` in pixels of `images`, `scores`
    float32 `[B, D]`, `classes` int32 `[B, D]` with -1 for padding,
    `num_detections` int32 `[B]`.

    Reference:
        Ren et al., "Faster R-CNN" (arXiv:1506.01497); He et al., "Deep Residual
        Learning for Image Recognition", appendix A.

    Example:

    ```python
    model = detection.build_model(config.model, categories)
    model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9))
    model.fit(batches)
    detections = model.detect("photo.jpg")
    ```
    """

    def __init__(
        self,
        backbone,
        neck,
        rpn,
        roi_heads,
        categories=None,
        pixel_mean=PIXEL_MEAN,
        pixel_std=PIXEL_STD,
        preprocessing=None,
        architecture=None,
        seed=0,
        **kwargs,
    ):
        # Images and sizes are cast here, where their meaning is known.
        super().__init__(autocast=False, **kwargs)
        self.architecture = None if architecture is None else dict(architecture)
        self.seed = int(seed)
        self.backbone = backbone
        self.neck = neck
        self.rpn = rpn
        self.roi_heads = roi_heads
        if categories is None:
            categories = [{"id": i, "name": str(i)} for i in range(roi_heads.num_classes)]
        if len(categories) != roi_heads.num_classes:
            raise ValueError(
                "`categories` must have one entry for each class of `roi_heads`. "
                f"Received: {len(categories)} categories, num_classes={roi_heads.num_classes}"
            )
        self.categories = tuple(dict(category) for category in categories)
        self.pixel_mean = tuple(pixel_mean)
        self.pixel_std = tuple(pixel_std)
        self.preprocessing = dict(preprocessing or {})
        self.seed_generator = keras.random.SeedGenerator(self.seed, name="sampling_seed")
        self.loss_metrics = {name: keras.metrics.Mean(name=name) for name in LOSSES}

        shapes = {name: tuple(tensor.shape) for name, tensor in _outputs(backbone).items()}
        levels = neck.compute_output_shape(shapes)
        pooled = levels[: len(roi_heads.strides)]
        for part, shape in ((neck, shapes), (rpn, levels), (roi_heads, pooled)):
            if not part.built:  # a deserialised part is
                part.build(shape)
        self.built = True
        # Holds for `predict` on a model that was never compiled.
        self.jit_compile = choose_jit("auto")

    @property
    def class_names(self) -> list[str]:
        """The names of the contiguous classes, in order."""
        return [category["name"] for category in self.categories]

    def call(self, x, training=False):
        first = self.first_stage(x, training)
        if training:
            return first
        return self.roi_heads.detect(*self.proposals(first, x["image_sizes"]))

    def candidates(self, x):
        """Everything that is predicted for a batch, before detections are selected.

        Returns:
            `(boxes [B, N, num_classes or 1, 4], scores [B, N, num_classes], valid [B, N])`.
        """
        first = self.first_stage(x)
        return self.roi_heads.candidates(*self.proposals(first, x["image_sizes"]))

    def feature_maps(self, x, training=False):
        """The levels of the neck, a list of tensors [B, H_l, W_l, C]."""
        images = self.normalize(x["images"], x["image_sizes"])
        return self.neck(self.backbone(images, training=training), training=training)

    def first_stage(self, x, training=False, features=None):
        """Everything up to the proposals.

        Args:
            x: a batch.
            training: bool, for norms.
            features: `feature_maps(x)`, if they are known already.

        Returns:
            dict of lists, an entry for each level: `features`, `objectness`, `deltas`, `anchors`.
        """
        features = self.feature_maps(x, training) if features is None else features
        objectness, deltas = self.rpn(features)
        return {
            "features": features,
            "objectness": objectness,
            "deltas": deltas,
            "anchors": self.rpn.anchors_for(features, ops.shape(x["images"])[1:3]),
        }

    def proposals(self, first, image_sizes):
        """What the second stage detects in: `(features, boxes, valid, image_sizes)`."""
        boxes, _, valid = self.rpn.propose(
            first["objectness"], first["deltas"], first["anchors"], image_sizes
        )
        return self._pooled(first), boxes, valid, image_sizes

    def _pooled(self, first):
        return first["features"][: len(self.roi_heads.strides)]

    def normalize(self, images, image_sizes):
        """Subtracts the mean, divides by the deviation and zeroes the padding.

        Args:
            images: tensor [B, H, W, 3], 0..255.
            image_sizes: int32 tensor [B, 2].

        Returns:
            Tensor [B, H, W, 3] of the model's compute dtype.
        """
        images = ops.cast(images, "float32")
        images = (images - ops.array(self.pixel_mean)) / ops.array(self.pixel_std)
        _, height, width, _ = ops.shape(images)
        inside = (ops.arange(height)[None, :, None] < image_sizes[:, 0, None, None]) & (
            ops.arange(width)[None, None, :] < image_sizes[:, 1, None, None]
        )
        images = ops.where(ops.expand_dims(inside, -1), images, 0.0)
        return ops.cast(images, self.compute_dtype)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["sampling_seed"] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store):
        values = {name: store[name] for name in store.keys()}  # noqa: SIM118
        self.seed_generator.state.assign(values.pop("sampling_seed"))
        super().load_own_variables(values)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "backbone": serialize(self.backbone),
            "neck": serialize(self.neck),
            "rpn": serialize(self.rpn),
            "roi_heads": serialize(self.roi_heads),
            "categories": [dict(category) for category in self.categories],
            "pixel_mean": list(self.pixel_mean),
            "pixel_std": list(self.pixel_std),
            "preprocessing": dict(self.preprocessing),
            "architecture": self.architecture,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for part in ("backbone", "neck", "rpn", "roi_heads"):
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return cls(**config)


def _outputs(backbone):
    outputs = backbone.output
    if not isinstance(outputs, dict):
        raise ValueError(
            "`backbone` must return a dict of feature maps by name; make one with "
            f"`keras_resnet.feature_extractor`. Received outputs of type: {type(outputs).__name__}"
        )
    return outputs
