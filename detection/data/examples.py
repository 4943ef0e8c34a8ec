"""One row of a batch: what both input pipelines share."""

import numpy as np

from detection.data.images import ImageCache
from detection.data.transforms import resize_bilinear, resized_size, to_dtype, transform_boxes

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
        return to_dtype(resize_bilinear(image, *sizes[index]), "uint8")

    return ImageCache(dataset, keep=keep, transform=transform if keep and resize else None)


def make_targets(record, index, size, flips, max_boxes):
    """The ground truth of one row of a batch.

    Args:
        record: A `Record`.
        index: Integer, its position in the data set.
        size: Tuple `(height, width)` after resizing.
        flips: Tuple of booleans `(horizontal, vertical)`.
        max_boxes: Integer, number of rows.

    Returns:
        A dict as in a batch, without the leading dimension.
    """
    targets = empty_targets(max_boxes)
    count = len(record.boxes)
    original = (record.height, record.width)
    targets["boxes"][:count] = transform_boxes(record.boxes, original, size, flips)
    targets["classes"][:count] = record.classes
    targets["is_crowd"][:count] = record.is_crowd
    targets["index"] = np.int32(index)
    targets["scale"] = np.array([size[0] / original[0], size[1] / original[1]], "float32")
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
