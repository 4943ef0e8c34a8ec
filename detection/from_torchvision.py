"""The detector that torchvision's weights are for."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from detection.build import build_model
from detection.categories import make_categories
from detection.faster_rcnn import FasterRCNN
from detection.model_size import refuse_larger
from detection.weights.coco import ROWS, coco_classes
from detection.weights.infer import PREPROCESSING, config_of
from detection.weights.names import assign_state, refuse_misfits, torchvision_places
from detection.weights.state import read_state
from keras_resnet.training.devices import precision_kept
from keras_resnet.untrusted.dry_run import dry_run


def load_torchvision(
    source: str | os.PathLike[str] | dict[str, Any],
    class_names: Sequence[Any] | None = None,
    unused_classes: bool = False,
    norm: str | None = None,
    norm_epsilon: float | None = None,
    precision: str | None = "float32",
    seed: int = 0,
) -> FasterRCNN:
    """Build the detector that torchvision's weights are for, with all of torchvision's rules.

    Args:
        source: see `detection.weights.read_state`: a published name, a `.safetensors` file,
            `"hf://owner/name"` or a state dict of arrays.
        class_names: what the classes are called, without background: a list of str (numbered
            from 1) or of `{"id": int, "name": str}`. None for COCO's, if there are 91 classes
            with the background, and for their numbers otherwise.
        unused_classes: bool, keep the ten of COCO's 90 ids that no object has, so that scores
            equal torchvision's to the last digit. Without them there are 80 classes, as in
            COCO's files, and what little probability they had goes to the others.
        norm: `"batch"` or `"frozen"`, the norms of the backbone; None for those that the weights
            were trained with.
        norm_epsilon: float, what these add to the variance; None for what the weights were
            trained with: 0 for torchvision's first published weights.
        precision: dtype policy of the model.
        seed: int, seed of the sampling in training.

    Returns:
        A built `FasterRCNN`, not compiled, with the stem and the first stage frozen as in
        torchvision.

    Raises:
        ValueError: if the weights are not those of such a detector; lists every tensor that is
            missing, unexpected or of another shape.
        FileNotFoundError: if there is no such file.
        OSError: if published weights are not on this machine; says how to get them.

    Reference:
        [torchvision, models.detection](https://docs.pytorch.org/vision/stable/models.html)

    Example:

    ```python
    model = load_torchvision("fasterrcnn_resnet50_fpn_v2.safetensors")
    model.detect("photo.jpg", score_threshold=0.5).names
    ```
    """
    made = {}

    def check(state):
        """Compares what the file declares with a model without memory for its weights."""
        config, num_rows = config_of(state, norm, norm_epsilon)
        # Kernels are [out, in, h, w] there, and matrices [out, in].
        shapes = [(*s[2:], *s[1::-1]) for s in (a.shape for a in state.arrays.values())]
        refuse_larger(config, shapes, "the file")
        rows, categories = _classes(class_names, unused_classes, num_rows)

        def build():
            with precision_kept():
                keras.config.set_dtype_policy(precision)
                return build_model(config, categories, dict(PREPROCESSING), seed)

        dry_run(lambda: refuse_misfits(state, torchvision_places(build(), rows, num_rows)))
        made.update(build=build, rows=rows, num_rows=num_rows)

    state = read_state(source, check)
    model = made["build"]()
    assign_state(state, torchvision_places(model, made["rows"], made["num_rows"]))
    return model


def _classes(class_names, unused_classes, num_rows):
    """The rows of the weights that are kept, and the categories they stand for."""
    rows = list(range(1, num_rows))
    if class_names is not None:
        categories = make_categories(class_names)
    elif num_rows == ROWS:
        rows, categories = coco_classes(unused_classes)
    else:
        categories = make_categories([str(row) for row in rows])
    if len(categories) != len(rows):
        raise ValueError(
            f"`class_names` must name the {len(rows)} classes of the weights; "
            "FasterRCNN.from_pretrained replaces the classes. "
            f"Received: {len(categories)} names"
        )
    return rows, categories
