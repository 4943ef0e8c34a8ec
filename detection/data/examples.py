"""One row of a batch: what both input pipelines share."""

from typing import NamedTuple

import numpy as np

from detection.data.images import ImageCache
from detection.data.transforms import crop_boxes, resize_rounded, resized_size, transform_boxes

_CACHE_LIMIT = 2 * 1024**3  # Bytes that `cache="auto"` may use.


def make_cache(dataset, config, training):
    """Returns the `ImageCache` of a pipeline.

    Images that are always resized to the same size and rounded are kept resized, where that is
    the smaller form.

    Args:
        dataset: A `DetectionDataset`.
        config: A `DataPipelineConfig`.
        training: Boolean.
    """
    sizes = [(record.height, record.width) for record in dataset.records]
    resize = config.has_single_scale(training) and config.dtype(training) == "uint8"
    if resize:
        side = min(config.min_sides)
        if not training:
            side = config.eval_min_side or max(config.min_sides)
        resized = [resized_size(*size, side, config.max_side, config.rounding) for size in sizes]
        resize = sum(h * w for h, w in resized) <= sum(h * w for h, w in sizes)
        sizes = resized if resize else sizes
    keep = config.cache
    if keep == "auto":
        keep = 3 * sum(height * width for height, width in sizes) <= _CACHE_LIMIT

    def transform(index, image):
        return resize_rounded(image, *sizes[index])

    return ImageCache(dataset, keep=keep, transform=transform if keep and resize else None)


class View(NamedTuple):
    """What a row of a batch shows of an image.

    Args:
        resized: Tuple `(height, width)` of the whole image after resizing.
        offset: Tuple `(y, x)` of the first pixel that is shown.
        size: Tuple `(height, width)` of what is shown.
        flips: Tuple of booleans `(horizontal, vertical)`, by which that is mirrored.
    """

    resized: tuple
    offset: tuple
    size: tuple
    flips: tuple


def make_targets(record, index, view, max_boxes, min_box=None):
    """The ground truth of one row of a batch.

    Args:
        record: A `Record`.
        index: Integer, its position in the data set.
        view: A `View`.
        max_boxes: Integer, number of rows.
        min_box: Number or `None`. Boxes are clipped to what is shown, and those with a shorter
            side left out; `None` where the whole image is shown.

    Returns:
        A dict as in a batch, without the leading dimension.
    """
    targets = empty_targets(max_boxes)
    original, resized = (record.height, record.width), view.resized
    boxes, kept = record.boxes, np.arange(len(record.boxes))
    if min_box is not None:
        boxes = transform_boxes(boxes, original, resized, (False, False))
        boxes, kept = crop_boxes(boxes, view.offset, view.size, min_box)
        boxes = transform_boxes(boxes, view.size, view.size, view.flips)
    else:
        boxes = transform_boxes(boxes, original, resized, view.flips)
    targets["boxes"][: len(kept)] = boxes
    targets["classes"][: len(kept)] = record.classes[kept]
    targets["is_crowd"][: len(kept)] = record.is_crowd[kept]
    targets["index"] = np.int32(index)
    targets["scale"] = np.array([resized[0] / original[0], resized[1] / original[1]], "float32")
    return targets


def empty_targets(max_boxes):
    """The ground truth of a filler row."""
    return {
        "boxes": np.zeros((max_boxes, 4), "float32"),
        "classes": np.full(max_boxes, -1, "int32"),
        "is_crowd": np.zeros(max_boxes, bool),
        "index": np.int32(-1),
        "scale": np.ones(2, "float32"),
    }
