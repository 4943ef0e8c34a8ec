"""Faster R-CNN: wires backbone, neck, RPN and RoI heads into one Keras model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import keras
from keras import ops

from detection.pixels import PIXEL_MEAN, PIXEL_STD
from keras_resnet.replicas import replica_count, uniform_rows
from keras_resnet.training.devices import choose_jit

if TYPE_CHECKING:
    from detection.detections import Detections

LOSSES = ("rpn_objectness_loss", "rpn_box_loss", "classification_loss", "box_loss")


@keras.saving.register_keras_serializable(package="detection")
class FasterRCNN(keras.Model):
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

    @classmethod
    def from_pretrained(
        cls, source: Any, class_names: Sequence[Any] | None = None, **options: Any
    ) -> "FasterRCNN":
        """A detector with trained weights, for the classes it knows or for other ones.

        With `class_names` the two output layers start anew for these classes; all other weights
        are those of the source, and the model is ready to be compiled and trained. What the
        source's own recipe freezes is frozen, nothing else: the stem and the first stage of
        torchvision's detectors, with every norm of the backbone where these are frozen norms, and
        what `backbone.freeze` and the norms say for a model of yours.

        Args:
            source: one of

                - a folder that `detection.load` reads: a run, or what `save_model` wrote.
                - a name of `detection.weights.list_detectors()`, the path of a `.safetensors`
                  file or `"hf://owner/name"`, all with torchvision's names; see
                  `detection.load_torchvision`.
                - a state dict of torchvision, a dict of arrays.
                - a `FasterRCNN`, which stays as it is.
            class_names: list of str, or of `{"id": int, "name": str}`; strings are numbered from
                1. None keeps the classes and the output layers.
            freeze: the last frozen part of the backbone, `"stem"`, `"C2"`, ..., or None for
                none; by default that of the source.
            backbone: dict of keys of `model.backbone` in the configuration that shall differ from
                the source, e.g. `{"norm": "frozen"}`. The weights must still fit.
            rpn: the same for `model.rpn`, e.g. `{"post_nms": (2000, 300)}`.
            roi_heads: the same for `model.roi_heads`, e.g. `{"score_threshold": 0.2}`.
            preprocessing: the same for how images are resized, e.g. `{"min_side": 600}`.
            precision: dtype policy of the model; None for that of the source.
            seed: int, start of the sampling in training; None for that of the source, or 0
                where anything changes. The new layers are drawn by Keras' global seed,
                `keras.utils.set_random_seed`.

        Returns:
            A built `FasterRCNN`, not compiled.

        Raises:
            ValueError: if there is nothing to load, or the weights do not fit.
            FileNotFoundError: if there is no such file.
            OSError: if published weights are not on this machine; says how to get them.

        Example:

        ```python
        model = FasterRCNN.from_pretrained("fasterrcnn_resnet50_fpn_coco", ["cat", "dog"])
        model.compile(keras.optimizers.SGD(0.005, momentum=0.9))
        model.fit(batches)
        ```
        """
        from detection.pretrained import from_pretrained

        return from_pretrained(source, class_names, **options)

    def compile_from_config(self, config):
        """Compiles a reloaded model; jit is chosen anew for the machine it is on."""
        config = keras.saving.deserialize_keras_object(config)
        config.pop("jit_compile", None)
        self.compile(**config)

    @property
    def class_names(self) -> list[str]:
        """The names of the contiguous classes, in order."""
        return [category["name"] for category in self.categories]

    def compile(self, optimizer="sgd", jit_compile="auto", **kwargs):
        """As `keras.Model.compile`; "auto" jits where the backend and device gain from it.

        Freeze layers before: the optimizer is built here.
        """
        super().compile(optimizer=optimizer, jit_compile=choose_jit(jit_compile), **kwargs)
        # Variables made during the first step would have TensorFlow trace it twice.
        self.optimizer.build(self.trainable_variables)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: it is built. Keras would average the replicas' batches, bool ones too."""

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

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if sample_weight is not None:
            raise ValueError("FasterRCNN takes no `sample_weight`. Received: a sample weight")
        # Detections carry no features: a validation loss runs the first stage again.
        first = y_pred if training else self.first_stage(x)
        losses = self.compute_losses(x, y, first, training)
        for name, value in losses.items():
            self.loss_metrics[name].update_state(value)
        total = sum(losses.values())
        if self.losses:
            total = total + sum(ops.cast(value, "float32") for value in self.losses)
        # Keras scales the losses it computes itself by the replicas, not this one.
        return total / replica_count()

    def compute_losses(self, x, y, first, training=True):
        """The four losses, given the first stage's output.

        Args:
            x, y: a batch.
            first: what `model(x, training=True)` returned.
            training: which proposal counts hold.

        Returns:
            dict of float32 scalars by the names in `LOSSES`.
        """
        y = {
            "boxes": ops.cast(y["boxes"], "float32"),
            "classes": ops.cast(y["classes"], "int32"),
            "is_crowd": ops.cast(y["is_crowd"], "bool")
            if "is_crowd" in y
            else ops.zeros_like(y["classes"], dtype="bool"),
        }
        maps = first["objectness"], first["deltas"], first["anchors"]
        batch = ops.shape(y["classes"])[0]
        anchors = sum(ops.shape(level)[0] for level in first["anchors"])
        losses = self.rpn.compute_losses(*maps, y, self._noise(batch, anchors))
        boxes, _, valid = self.rpn.propose(*maps, x["image_sizes"], training=training)
        candidates = ops.shape(boxes)[1] + ops.shape(y["boxes"])[1]
        second = self.roi_heads.compute_losses(
            self._pooled(first),
            boxes,
            valid,
            y,
            self._noise(batch, candidates),
            x["image_sizes"],
            training=training,
        )
        return {**losses, **second}

    def _noise(self, batch, count):
        return uniform_rows(batch, count, self.seed_generator)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {metric.name: metric.result() for metric in self.metrics}

    @overload
    def detect(
        self,
        images: list[Any] | tuple[Any, ...],
        score_threshold: float | None = ...,
        augment: Any = ...,
    ) -> "list[Detections]": ...

    @overload
    def detect(
        self, images: Any, score_threshold: float | None = ..., augment: Any = ...
    ) -> "Detections": ...

    def detect(
        self, images: Any, score_threshold: float | None = None, augment: Any = None
    ) -> "Detections | list[Detections]":
        """Detects objects in images of any size and source.

        Args:
            images: a path, a PIL image, a uint8 array [H, W, 3] (RGB), or a list of these.
            score_threshold: drop detections below this score; `None` keeps
                all that the model returns.
            augment: a `TestTimeAugmentation` to look at several views of each image; `None` for
                that of the configuration, `model.test_time`, if it has one; `False` for none.

        Returns:
            A `Detections` (for a single image) or a list of them, with boxes in pixels of the
            image as given. A notebook shows both as pictures.

        Example:

        ```python
        for box, score, name in zip(d.boxes, d.scores, d.names):
            print(name, score, box)
        ```
        """
        from detection.predict import detect

        return detect(self, images, score_threshold=score_threshold, augment=augment)

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
