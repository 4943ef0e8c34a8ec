"""The sound part of COCO annotations, checked and sorted all at once."""

import itertools
import operator

import numpy as np

from detection.data.checks import VISIBLE_OVERSHOOT, is_size

MAX_AREA = 1e18  # Square pixels; larger ones are no areas.
_CROWD_TYPES = {int, bool, type(None)}
_NO_BOX = (np.nan,) * 4
_BLOCK = 2**11  # Annotations that stay in the processor's cache while they are looked at.


def split_sound(entries, images, class_of):
    """Turns the annotations of images that are beyond doubt into arrays.

    Says nothing about the others: they are to be looked at one by one, which takes ten times
    longer and finds words for what is wrong.

    Args:
        entries: list of annotations as read from JSON.
        images: dict from image id to its entry, as read from JSON.
        class_of: dict from category id to contiguous class.

    Returns:
        A tuple `(sound, others)`: dict from image id to `(boxes, classes, is_crowd, difficult,
        areas)`, the arguments of a `Record` in the order of the file, with an entry for each image
        whose annotations are all sound; and a list of `(position, entry)`, the annotations of all
        others.
    """
    sizes = [_size(entry) for entry in images.values()]
    sizes = np.array([*sizes, (0, 0)], "float64")  # The last one stands for unknown images.
    position = {key: place for place, key in enumerate(images)}
    starts = range(0, len(entries), _BLOCK)
    try:
        blocks = [_block(entries[i : i + _BLOCK], position, class_of, sizes) for i in starts]
    except (OverflowError, TypeError, ValueError):  # e.g. text where numbers should be
        return {}, list(enumerate(entries))
    if not blocks:
        return {}, []
    image, sound, *columns = map(np.concatenate, zip(*blocks))

    doubtful = np.zeros(len(images) + 1, bool)
    doubtful[image[~sound]] = True
    order = np.argsort(image, kind="stable")
    columns = [column[order] for column in columns]
    ends = np.searchsorted(image[order], np.arange(len(images) + 1)).tolist()
    parts = {
        key: tuple([column[start:end] for column in columns])
        for key, unclear, (start, end) in zip(images, doubtful.tolist(), itertools.pairwise(ends))
        if start < end and not unclear
    }
    others = np.flatnonzero(doubtful[image]).tolist()
    return parts, [(place, entries[place]) for place in others]


@np.errstate(over="ignore", invalid="ignore")
def _block(rows, position, class_of, sizes):
    """Some annotations as arrays.

    Returns:
        `image`, the positions of their images (-1: unknown); `sound`, whether an annotation is
        beyond doubt; and the arguments of a `Record`: boxes, classes, is_crowd, difficult, areas.
    """
    if not set(map(type, rows)) <= {dict}:
        rows = [row if type(row) is dict else {} for row in rows]
    count = len(rows)
    image = _lookup(rows, "image_id", position)
    classes = _lookup(rows, "category_id", class_of)
    boxes = _values(rows, "bbox", {list}, _NO_BOX)
    if not set(map(len, boxes)) <= {4}:
        boxes = [box if len(box) == 4 else _NO_BOX for box in boxes]
    boxes = np.fromiter(itertools.chain.from_iterable(boxes), "float64", 4 * count)
    boxes, box_areas, sound = _clip(boxes.reshape(-1, 4), sizes[image])
    areas = np.fromiter(_values(rows, "area", {int, float}, 0.0), "float64", count)
    areas = np.where((areas > 0) & (areas < MAX_AREA), areas, box_areas)
    crowds = [row.get("iscrowd") for row in rows]
    if not set(map(type, crowds)) <= _CROWD_TYPES:
        crowds = [crowd if type(crowd) in _CROWD_TYPES else 2 for crowd in crowds]
    if not set(crowds) <= {0, 1}:
        sound &= [crowd in (0, 1, None) for crowd in crowds]
        crowds = map(bool, crowds)
    crowds = np.fromiter(crowds, bool, count)
    # Beyond COCO, as `DetectionDataset.to_coco` writes it.
    flags = _values(rows, "difficult", {int}, 0)
    difficult = np.fromiter((flag == 1 for flag in flags), bool, count)
    sound &= (image >= 0) & (classes >= 0)
    areas = areas.astype("float32")
    return image, sound, boxes.astype("float32"), classes, crowds, difficult, areas


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
    """The rule of `check_box` on `(x, y, width, height)` in images of these (heights, widths).

    Returns:
        Clipped boxes `(x1, y1, x2, y2)`, their areas, and which of them need no word.
    """
    corners = boxes.copy()
    corners[:, 2:] += corners[:, :2]
    clipped = np.empty_like(corners)
    np.maximum(corners[:, :2], 0, out=clipped[:, :2])
    np.minimum(corners[:, 2:], sizes[:, ::-1], out=clipped[:, 2:])
    sides = clipped[:, 2:] - clipped[:, :2]
    sound = (sides > 0).all(axis=1)
    sound &= (np.abs(clipped - corners) <= VISIBLE_OVERSHOOT).all(axis=1)
    return clipped, sides[:, 0] * sides[:, 1], sound
