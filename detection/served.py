"""An exported detector, as the process that serves it sees it."""

from pathlib import Path

import numpy as np

from detection.detections import Detections
from detection.load_image import load_image
from detection.predict import check_score
from keras_resnet.untrusted import json_text

METADATA_FILE = "detector.json"
_PROGRAM = "saved_model.pb"


class ServedDetector:
    """A detector that was exported as a SavedModel; `load_served` opens one.

    It has what evaluation and prediction need of a `FasterRCNN`, and no weights that could be
    trained or changed.

    Args:
        folder: `pathlib.Path` of the SavedModel.
        facts: dict, its `assets/detector.json`.

    Attributes:
        folder: as given.
        categories: list of `{"id", "name"}`, those of the data it was trained on.
        class_names: list of the names.
        preprocessing: dict, how its program resizes images.
    """

    def __init__(self, folder, facts):
        import tensorflow as tf

        self.folder = folder
        self.categories = facts["categories"]
        self.class_names = [category["name"] for category in self.categories]
        self.preprocessing = facts["preprocessing"]
        self._saved = tf.saved_model.load(str(folder))
        self._serve = self._saved.signatures["serve_images"]

    def detect(self, image, score_threshold=None):
        """Runs the program on one image.

        Args:
            image: a path, a PIL image, or an array [H, W, 3] uint8 (RGB) or [H, W].
            score_threshold: drop detections below this score, 0 to 1; None for none.

        Returns:
            `Detections`.

        Raises:
            ValueError: it is no image, or the score is not from 0 to 1.
        """
        import tensorflow as tf

        check_score(score_threshold)
        pixels = load_image(image)
        outputs = {
            name: value.numpy()[0]
            for name, value in self._serve(images=tf.constant(pixels[None])).items()
        }
        count = int(outputs["num_detections"])
        if score_threshold is not None:
            count = int((outputs["scores"][:count] >= score_threshold).sum())  # sorted by score
        classes = outputs["classes"][:count].astype("int32")
        return Detections(
            boxes=outputs["boxes"][:count],
            scores=outputs["scores"][:count],
            classes=classes,
            names=[self.categories[index]["name"] for index in classes],
            category_ids=[self.categories[index]["id"] for index in classes],
            size=tuple(map(int, np.shape(pixels)[:2])),
            source=image,
        )


def served_folder(path):
    """The SavedModel at a path.

    Args:
        path: folder of a SavedModel, or of a served model with a folder for each version.

    Returns:
        `pathlib.Path`, of the greatest version; None if there is none.
    """
    path = Path(path)
    if (path / _PROGRAM).is_file():
        return path
    versions = [p for p in path.glob("*") if p.name.isdecimal() and (p / _PROGRAM).is_file()]
    return max(versions, key=lambda version: int(version.name), default=None)


def load_served(path, trust=False):
    """Opens a detector that `detection.export.export_saved_model` wrote.

    Args:
        path: as for `served_folder`.
        trust: bool. A SavedModel is a program of TensorFlow, which can read and write any file;
            pass True if you made it yourself or know who did.

    Returns:
        A `ServedDetector`.

    Raises:
        ValueError: there is none, it is not trusted, or it is another kind of SavedModel.

    Example:

    ```python
    served = load_served("served/shapes", trust=True)
    print(served.detect("photo.jpg", score_threshold=0.5))
    ```
    """
    folder = served_folder(path)
    if folder is None:
        raise ValueError(
            f"There is no SavedModel: neither {_PROGRAM} nor numbered versions with one. "
            f"Received: path={str(path)!r}"
        )
    if not trust:
        raise ValueError(
            "A SavedModel is a program of TensorFlow, which can read and write any file. Pass "
            "trust=True (--trust) if you exported it yourself or know who did. "
            f"Received: {str(folder)!r}"
        )
    metadata = folder / "assets" / METADATA_FILE
    if not metadata.is_file():
        raise ValueError(
            f"This SavedModel is no detector exported by this library: it has no "
            f"assets/{METADATA_FILE}. Received: {str(folder)!r}"
        )
    facts = json_text.loads(metadata.read_bytes(), str(metadata))
    missing = {"categories", "preprocessing"} - set(facts if isinstance(facts, dict) else ())
    if missing:
        raise ValueError(
            f"{metadata} does not say {' and '.join(sorted(missing))}: export the detector again. "
            f"Received: {str(folder)!r}"
        )
    return ServedDetector(folder, facts)
