"""Detection on images from anywhere, in their own pixels."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from detection.data.dataset import DetectionDataset
from detection.data.transforms import prepare_image, resized_size
from detection.detection_list import DetectionList
from detection.detections import Detections
from detection.evaluation.results import to_coco_results
from detection.load_image import load_image
from detection.multi_view import augmentation_of, multi_view
from keras_resnet.replicas import predict_batch


def detect(model, images, score_threshold=None, batch_size=8, augment=None):
    """Runs a detector on images of any size; see `FasterRCNN.detect`.

    Args:
        model: a `FasterRCNN`.
        images: a path, a PIL image, an array [H, W, 3] uint8 (RGB) or [H, W], or a
            list of these.
        score_threshold: drop detections below this score, 0 to 1; None for none.
        batch_size: images of equal padded size run together, at most this many.
        augment: a `TestTimeAugmentation`, None for that of the model's configuration, False
            for none.

    Returns:
        `Detections`, or a list of them (a `DetectionList`) for a list.

    Raises:
        ValueError: naming the image that cannot be read, or the score is no share of 1.
    """
    check_score(score_threshold)
    if not isinstance(images, (list, tuple)):
        return detect(model, [images], score_threshold, batch_size, augment)[0]
    augment = augmentation_of(model, augment)
    look = _one_view(model) if augment is None else _many_views(model, augment)
    results = [None] * len(images)
    waiting = {}  # padded shapes -> [(position, resized images, own size, original size)]
    for position, source in enumerate(images):
        image = load_image(source)
        resized, own_size = look.resize(image)
        shapes = tuple(_padded(view.shape, model.preprocessing) for view in resized)
        group = waiting.setdefault(shapes, [])
        group.append((position, resized, own_size, image.shape[:2]))
        if len(group) == batch_size:
            _run(model, look, shapes, waiting.pop(shapes), results, score_threshold)
    for shapes, group in waiting.items():
        _run(model, look, shapes, group, results, score_threshold)
    return DetectionList(replace(found, source=image) for found, image in zip(results, images))


def check_score(score_threshold):
    """Refuses a least score that no detection, or every one, would have.

    Args:
        score_threshold: float, or None for none.

    Raises:
        ValueError: it is not from 0 to 1.

    Example:
    >>> check_score(0.5)
    """
    if score_threshold is not None and not 0 <= score_threshold <= 1:
        raise ValueError(
            "`score_threshold` is a number from 0 to 1; write 50 % as 0.5. "
            f"Received: score_threshold={score_threshold}"
        )


@dataclass(frozen=True)
class _Look:
    """How images come to a detector.

    Attributes:
        detector: the model that is called.
        resize: function of an image to (list of its views, (height, width) at the model's scale).
        pack: function of (list of batches by view, these sizes) to the detector's input.
    """

    detector: object
    resize: object
    pack: object


def _one_view(model):
    def resize(image):
        resized = _resized(image, model.preprocessing)
        return [resized], resized.shape[:2]

    return _Look(model, resize, lambda batches, own_sizes: batches[0])


def _many_views(model, augment):
    detector, preprocessing = multi_view(model, augment), model.preprocessing

    def resize(image):
        views = []
        for view in detector.views:
            sides = {"min_side": view.min_side, "max_side": view.max_side}
            resized = _resized(image, {**preprocessing, **sides} if view.min_side else {})
            views.append(resized[:, ::-1] if view.flip else resized)
        own = image.shape[:2]
        if preprocessing:
            own = resized_size(*own, **_sizing(preprocessing))
        return views, own

    def pack(batches, own_sizes):
        return {"views": batches, "image_sizes": own_sizes}

    return _Look(detector, resize, pack)


def _resized(image, preprocessing):
    if not preprocessing:
        return image.astype("float32")
    return prepare_image(image, **_sizing(preprocessing))[0]


def _sizing(preprocessing):
    names = ("min_side", "max_side", "rounding")
    return {name: preprocessing[name] for name in names if name in preprocessing}


def _padded(shape, preprocessing):
    divisor = preprocessing.get("size_divisor", 32)
    return tuple(-(-side // divisor) * divisor for side in shape[:2])


def _run(model, look, shapes, group, results, score_threshold):
    """Detects in images of equal padded shapes and writes to their places in `results`."""
    batches = [
        _batch([resized[view] for _, resized, _, _ in group], shape)
        for view, shape in enumerate(shapes)
    ]
    own_sizes = np.array([own for _, _, own, _ in group], "int32")
    outputs = look.detector.predict_on_batch(look.pack(batches, own_sizes))
    outputs = {name: np.asarray(value) for name, value in outputs.items()}
    for row, (position, _, own, size) in enumerate(group):
        scale = np.divide(own, size, dtype="float32")
        results[position] = _in_original_pixels(model, outputs, row, scale, size, score_threshold)


def _batch(images, shape):
    padded = np.zeros((len(images), *shape, 3), "float32")
    for row, image in zip(padded, images):
        row[: image.shape[0], : image.shape[1]] = image
    sizes = np.array([image.shape[:2] for image in images], "int32")
    return {"images": padded, "image_sizes": sizes}


def _in_original_pixels(model, outputs, row, scale, size, score_threshold=None):
    count = int(outputs["num_detections"][row])
    scores = outputs["scores"][row, :count]
    if score_threshold is not None:
        count = int((scores >= score_threshold).sum())  # sorted by score
    boxes = outputs["boxes"][row, :count] / np.tile(np.asarray(scale, "float32")[::-1], 2)
    height, width = size
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], "float32"))
    classes = outputs["classes"][row, :count].astype("int32")
    return Detections(
        boxes=boxes.astype("float32"),
        scores=scores[:count],
        classes=classes,
        names=[model.categories[c]["name"] for c in classes],
        category_ids=[model.categories[c]["id"] for c in classes],
        size=(int(height), int(width)),
    )


def predict_dataset(
    model: keras.Model, batches: Iterable[Any], dataset: DetectionDataset
) -> list[dict[str, Any]]:
    """Runs a detector over evaluation batches.

    Args:
        model: a `FasterRCNN`.
        batches: evaluation batches of `dataset` (`detection.data.make_batches`).
        dataset: the `DetectionDataset` they come from.

    Returns:
        List of COCO results (`image_id`, `category_id`, `bbox`, `score`), in
        original pixels and with the data set's own ids.
    """
    results = []
    for x, y in batches:
        outputs = predict_batch(model, x)
        outputs = {name: np.asarray(value) for name, value in outputs.items()}
        indices, scales = np.asarray(y["index"]), np.asarray(y["scale"])
        for row, index in enumerate(indices):
            if index < 0:  # filler of the last batch
                continue
            record = dataset.records[index]
            found = _in_original_pixels(
                model, outputs, row, scales[row], (record.height, record.width)
            )
            results.extend(_coco_results(dataset, record, found))
    return results


def predict_images(model, dataset, augment, batch_size=8):
    """Runs a detector over the images of a data set with test-time augmentation.

    Args:
        model: a `FasterRCNN`.
        dataset: a `DetectionDataset`.
        augment: a `TestTimeAugmentation`.
        batch_size: images of equal padded sizes run together, at most this many.

    Returns:
        List of COCO results as of `predict_dataset`.
    """
    results = []
    # A few batches at a time, so that images of one size meet and memory stays bounded.
    for first in range(0, len(dataset), 8 * batch_size):
        rows = range(first, min(first + 8 * batch_size, len(dataset)))
        images = [dataset.read_image(row) for row in rows]
        for row, found in zip(rows, detect(model, images, None, batch_size, augment)):
            results.extend(_coco_results(dataset, dataset.records[row], found))
    return results


def _coco_results(dataset, record, found):
    # Of the data set, not of the model: the one it was trained on may number them otherwise.
    category_ids = [category.id for category in dataset.categories]
    return to_coco_results(record.image_id, found.boxes, found.scores, found.classes, category_ids)
