"""What people ask of a detector: trained weights, and what is in an image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from detection.detections import Detections
    from detection.faster_rcnn import FasterRCNN


class DetectorMethods:
    """Mixed into a detector. What reads files is imported at the first call."""

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
            score_threshold: drop detections below this score, 0 to 1; `None` keeps
                all that the model returns.
            augment: a `TestTimeAugmentation` to look at several views of each image; `None` for
                that of the configuration, `model.test_time`, if it has one; `False` for none.

        Returns:
            A `Detections` (for a single image) or a list of them, with boxes in pixels of the
            image as given. A notebook shows both as pictures.

        Raises:
            ValueError: an image cannot be read (the message names it), or `score_threshold` is
                not from 0 to 1.

        Example:

        ```python
        for box, score, name in zip(d.boxes, d.scores, d.names):
            print(name, score, box)
        ```
        """
        from detection.predict import detect

        return detect(self, images, score_threshold=score_threshold, augment=augment)
