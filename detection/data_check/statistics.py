"""Counts and sizes of a split: what a data set holds."""

import collections
import itertools

import numpy as np

SIDES = (16, 32, 64, 128, 256, 512)  # Bounds of the classes of box sizes in pixels.
SHAPES = (1 / 3, 2 / 3, 3 / 2, 3)  # Bounds of the classes of box shapes, height over width.
SIZE_NAMES = (
    f"< {SIDES[0]} px",
    *(f"{low}-{high} px" for low, high in itertools.pairwise(SIDES)),
    f">= {SIDES[-1]} px",
)
SHAPE_NAMES = ("wider than 3:1", "wide", "about square", "tall", "taller than 1:3")
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COUNTS = (0, 1, 2, 4, 8, 16, 32, 64, 128)  # Lower bounds of the classes of boxes an image.
_SMALL, _LARGE = 32**2, 96**2  # Square pixels, as COCO's evaluation has them.


def split_statistics(table, pipeline=None):
    """What one split holds.

    Args:
        table: A `BoxTable`.
        pipeline: Optional `DataPipelineConfig`; with it the sizes after resizing are told too.

    Returns:
        A dict of numbers, lists and dicts, ready for JSON. Sizes of boxes are square roots of
        areas in pixels; aspect ratios are height over width, as those of anchors.

    Example:

    ```python
    split_statistics(BoxTable(dataset))["boxes_per_image"]["mean"]
    ```
    """
    sides = table.sides
    sizes = np.sqrt(sides.prod(axis=1))
    small, large = table.areas < _SMALL, table.areas >= _LARGE
    difficult = sum(int(record.difficult.sum()) for record in table.dataset.records)
    found = {
        "name": table.dataset.name,
        "images": len(table.dataset),
        "images_without_boxes": int((table.counts == 0).sum()),
        "boxes": len(table),
        "crowd_boxes": int((~table.single).sum()),
        "difficult_boxes": difficult,
        "image_sizes": _image_sizes(table.image_sizes),
        "boxes_per_image": _boxes_per_image(table.counts),
        "box_size": _spread(sizes),
        "box_width": _spread(sides[:, 0]),
        "box_height": _spread(sides[:, 1]),
        "box_size_histogram": histogram(sizes, SIDES, SIZE_NAMES),
        "aspect_ratio": _spread(sides[:, 1] / sides[:, 0]),
        "aspect_ratio_histogram": histogram(sides[:, 1] / sides[:, 0], SHAPES, SHAPE_NAMES),
        "coco_sizes": {
            "small": int(small.sum()),
            "medium": int((~small & ~large).sum()),
            "large": int(large.sum()),
        },
        "classes": _classes(table, sizes),
    }
    if pipeline is not None:
        resized = table.resized_images(pipeline)
        scale = resized / table.image_sizes
        resized_sizes = np.sqrt(table.resized_sides(pipeline).prod(axis=1))
        found["resized"] = {
            "min_side": pipeline.eval_min_side or max(pipeline.min_sides),
            "max_side": pipeline.max_side,
            "scale": _spread(scale.mean(axis=1)),
            "bounded_by_max_side": int((resized.max(axis=1) >= pipeline.max_side).sum()),
            "box_size": _spread(resized_sizes),
            "box_size_histogram": histogram(resized_sizes, SIDES, SIZE_NAMES),
        }
    return found


def histogram(values, bounds, names):
    """Counts the values between bounds.

    Args:
        values: Array `(N,)`.
        bounds: Increasing numbers, K of them; a value on a bound belongs above it.
        names: The K + 1 names of the classes.

    Returns:
        A list of `{"range", "count"}`.
    """
    counts = np.bincount(np.digitize(values, bounds), minlength=len(names))
    return [{"range": name, "count": int(count)} for name, count in zip(names, counts)]


def _spread(values):
    """Smallest, largest, mean and some quantiles, or `None` of nothing."""
    if len(values) == 0:
        return None
    quantiles = np.quantile(values, _QUANTILES)
    named = {f"{round(100 * q)}%": _round(v) for q, v in zip(_QUANTILES, quantiles)}
    return {
        "min": _round(np.min(values)),
        **named,
        "max": _round(np.max(values)),
        "mean": _round(np.mean(values)),
    }


def _image_sizes(sizes):
    common = collections.Counter(map(tuple, sizes.tolist())).most_common(5)
    return {
        "different": len(np.unique(sizes, axis=0)),
        "height": _spread(sizes[:, 0]),
        "width": _spread(sizes[:, 1]),
        "most_common": [{"height": h, "width": w, "images": n} for (h, w), n in common],
    }


def _boxes_per_image(counts):
    names = [
        str(low) if high == low + 1 else f"{low}-{high - 1}"
        for low, high in itertools.pairwise(_COUNTS)
    ]
    bars = histogram(counts, _COUNTS[1:], (*names, f">= {_COUNTS[-1]}"))
    while bars and bars[-1]["count"] == 0:
        bars.pop()
    return {**(_spread(counts) or {}), "histogram": bars}


def _classes(table, sizes):
    names = table.dataset.class_names
    boxes = np.bincount(table.classes, minlength=len(names))
    pairs = np.unique(np.stack([table.image, table.classes]), axis=1)
    images = np.bincount(pairs[1], minlength=len(names))
    order = np.argsort(table.classes, kind="stable")
    groups = np.split(sizes[order], np.cumsum(boxes)[:-1])
    return [
        {
            "name": name,
            "boxes": int(boxes[index]),
            "images": int(images[index]),
            "share": _round(boxes[index] / max(1, len(table))),
            "median_size": _round(np.median(groups[index])) if boxes[index] else None,
        }
        for index, name in enumerate(names)
    ]


def _round(value):
    return float(f"{value:.6g}")
