"""The sound part of COCO annotations, checked and sorted all at once."""

import itertools
import operator

import numpy as np

from detection.data.checks import VISIBLE_OVERSHOOT, is_size

MAX_AREA = 1e18  # Square pixels; larger ones are no areas.
_NO_BOX = (np.nan,) * 4


def split_sound(entries, images, class_of):
    """Turns the annotations of images that are beyond doubt into arrays.

    Says nothing about the others: they are to be looked at one by one, which takes ten times
    longer and finds words for what is wrong.

    Args:
        entries: list of annotations as read from JSON.
        images: dict from image id to its entry, as read from JSON.
        class_of: dict from category id to contiguous class.

    Returns:
        A tuple `(sound, others)`: dict from image id to `(boxes, classes, is_crowd, areas)`, the
        arguments of a `Record` in the order of the file, with an entry for each image whose
        annotations are all sound; and a list of `(position, entry)`, the annotations of all
        others.
    """
    rows = entries
    if not set(map(type, rows)) <= {dict}:
        rows = [entry if type(entry) is dict else {} for entry in entries]
    try:
        image, boxes, classes, areas = _columns(rows, images, class_of)
    except (OverflowError, TypeError, ValueError):  # e.g. text where numbers should be
        return {}, list(enumerate(entries))
    sizes = np.array([_size(entry) for entry in images.values()], "float64").reshape(-1, 2)
    clipped, sound = _clip(boxes, sizes[image] if len(sizes) else np.zeros((len(rows), 2)))
    sound &= (image >= 0) & (classes >= 0)
    crowds = [row.get("iscrowd") for row in rows]
    if not all(map((0, 1, None).__contains__, crowds)):
        sound &= [crowd in (0, 1, None) for crowd in crowds]

    doubtful = np.zeros(len(images) + 1, bool)  # The last one stands for unknown images.
    doubtful[image[~sound]] = True
    box_areas = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1)
    order = np.argsort(image, kind="stable")
    columns = [
        column[order]
        for column in (
            clipped.astype("float32"),
            classes,
            np.fromiter(map(bool, crowds), bool, len(rows)),
            np.where((areas > 0) & (areas < MAX_AREA), areas, box_areas).astype("float32"),
        )
    ]
    ends = np.searchsorted(image[order], np.arange(len(images) + 1)).tolist()
    parts = {
        key: tuple([column[start:end] for column in columns])
        for key, unclear, (start, end) in zip(images, doubtful.tolist(), itertools.pairwise(ends))
        if start < end and not unclear
    }
    others = np.flatnonzero(doubtful[image]).tolist()
    return parts, [(position, entries[position]) for position in others]


def _columns(rows, images, class_of):
    """Positions of images and classes (-1: unknown), boxes (NaN: none) and areas (0: none)."""
    count = len(rows)
    boxes = _values(rows, "bbox", {list}, _NO_BOX)
    if not set(map(len, boxes)) <= {4}:
        boxes = [box if len(box) == 4 else _NO_BOX for box in boxes]
    flat = np.fromiter(itertools.chain.from_iterable(boxes), "float64", 4 * count)
    areas = _values(rows, "area", {int, float}, 0.0)
    return (
        _lookup(rows, "image_id", {key: place for place, key in enumerate(images)}),
        flat.reshape(-1, 4),
        _lookup(rows, "category_id", class_of),
        np.fromiter(areas, "float64", count),
    )


def _values(rows, name, types, default):
    """The values of a key, with a default where they are missing or of another type."""
    try:
        values = list(map(operator.itemgetter(name), rows))
    except KeyError:
        values = [row.get(name, default) for row in rows]
    if set(map(type, values)) <= types:
        return values
    return [value if type(value) in types else default for value in values]


def _lookup(rows, name, table):
    # By type, because 1.0 and True would be found as 1.
    keys = _values(rows, name, {int, str}, None)
    try:
        return np.fromiter(map(table.__getitem__, keys), "int32", len(keys))
    except KeyError:
        return np.fromiter((table.get(key, -1) for key in keys), "int32", len(keys))


def _size(image):
    """(height, width), or zeros, in which no box lies."""
    height, width = image.get("height"), image.get("width")
    return (height, width) if is_size(height, width) else (0, 0)


def _clip(boxes, sizes):
    """The rule of `check_box` on arrays: clipped boxes, and which of them need no word."""
    corners = boxes.copy()
    corners[:, 2:] += boxes[:, :2]
    clipped = np.empty_like(corners)
    np.maximum(corners[:, :2], 0, out=clipped[:, :2])
    np.minimum(corners[:, 2:], sizes[:, ::-1], out=clipped[:, 2:])
    with np.errstate(invalid="ignore"):
        sound = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
        sound &= (np.abs(clipped - corners) <= VISIBLE_OVERSHOOT).all(axis=1)
    return clipped, sound
