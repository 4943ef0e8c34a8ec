"""Boxes, images and classes that are probably not meant."""

import collections
import dataclasses
import hashlib
import os

import numpy as np

from detection.data import DataError
from detection.data.images import read_bytes

TINY_SIDE = 4  # Pixels after resizing: one cell of the finest feature map of most detectors.
EXTREME_ASPECT = 10  # Longer side over shorter side.
SAME_BOX = 0.95  # IoU from which two boxes are one.
WHOLE_IMAGE = 0.99  # Share of both sides of the image.
_BLOCK = 256  # Boxes compared with all others of their image at a time.


@dataclasses.dataclass(frozen=True)
class Finding:
    """One place where something is wrong.

    Args:
        kind: String, a name in `kinds.KINDS`.
        split: String, such as `"train"`.
        where: String, names the file and the box, or the class.
        detail: String, the offending values.
        image: Position of the image in its data set, or `None`.
        boxes: Positions of the boxes in the image.
    """

    kind: str
    split: str
    where: str
    detail: str = ""
    image: int | None = None
    boxes: tuple[int, ...] = ()


def find_in_reading(split, dataset):
    """Everything that reading and verifying a data set noted.

    Args:
        split: String.
        dataset: A `DetectionDataset`.

    Yields:
        `Finding`.
    """
    for kind in dataset.problems.counts():
        for where, detail in dataset.problems.of_kind(kind):
            yield Finding(kind, split, where, detail)


def find_boxes(split, table, pipeline=None):
    """Boxes around whole images, of extreme shape, and too small after resizing.

    Args:
        split: String.
        table: A `BoxTable`.
        pipeline: Optional `DataPipelineConfig`, without which no box is too small.

    Yields:
        `Finding`.
    """
    sides = table.sides
    image_sides = table.image_sizes[table.image][:, ::-1]
    whole = (sides >= WHOLE_IMAGE * image_sides).all(axis=1)
    # Longer than wide by far, but no slip of the mouse, which is of another kind.
    aspect = sides.max(axis=1, initial=0) / sides.min(axis=1, initial=np.inf)
    masks = {"whole_image": whole, "extreme_aspect": aspect > EXTREME_ASPECT}
    if pipeline is not None:
        resized = table.resized_sides(pipeline)
        masks["tiny_box"] = resized.min(axis=1, initial=np.inf) < TINY_SIDE
        masks["extreme_aspect"] &= ~masks["tiny_box"]
    for kind, mask in masks.items():
        for row in np.flatnonzero(mask & table.single):
            width, height = sides[row]
            detail = f"{_class(table, row)}, {width:.4g} x {height:.4g}"
            if kind == "tiny_box":
                detail += " pixels, resized {:.2g} x {:.2g}".format(*resized[row])
            else:
                detail += " in an image of {} x {}".format(*image_sides[row])
            yield _box(kind, split, table, row, detail)


def find_repeated_boxes(split, table):
    """Boxes that are at the place of an earlier one of their image.

    Args:
        split: String.
        table: A `BoxTable`.

    Yields:
        `Finding` of the kinds `"duplicate_box"` and `"two_classes"`.
    """
    ends = np.cumsum(table.counts)
    for image in np.flatnonzero(table.counts > 1):
        rows = np.arange(ends[image] - table.counts[image], ends[image])
        rows = rows[table.single[rows]]
        for row, other in _same_place(table.boxes, rows):
            same = table.classes[row] == table.classes[other]
            detail = f"{_class(table, row)}, as box {table.position[other]}"
            detail += "" if same else f", a {_class(table, other)}"
            kind = "duplicate_box" if same else "two_classes"
            yield _box(kind, split, table, row, detail, other)


def _same_place(boxes, rows):
    """Pairs (row, the first earlier row with nearly the same box)."""
    areas = np.prod(boxes[rows, 2:] - boxes[rows, :2], axis=1)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        a, b = boxes[rows[block], None], boxes[rows]
        shared = np.minimum(a[..., 2:], b[:, 2:]) - np.maximum(a[..., :2], b[:, :2])
        shared = np.maximum(shared, 0).prod(axis=-1)
        same = shared >= SAME_BOX * (areas[block, None] + areas - shared)
        earlier = np.arange(len(rows)) < np.arange(start, start + len(a))[:, None]
        same &= earlier
        for i in np.flatnonzero(same.any(axis=1)):
            yield rows[start + i], rows[same[i].argmax()]


def find_images_without_boxes(split, table):
    """Images that nothing is annotated on. Yields `Finding`."""
    for index in np.flatnonzero(table.counts == 0):
        yield Finding("image_without_boxes", split, table.dataset.records[index].where, "", index)


def find_copies(datasets):
    """Images with the same bytes, in one split or in two.

    Only files of equal length are read.

    Args:
        datasets: Dict from split to `DetectionDataset`.

    Yields:
        `Finding` of the kinds `"repeated_image"` and `"same_image_in_splits"`; the place is the
        later one.
    """
    by_length = collections.defaultdict(list)
    for split, dataset in datasets.items():
        for index, record in enumerate(dataset.records):
            length = _length(record)
            if length is not None:
                by_length[length].append((split, index, record))
    seen = {}
    for same_length in by_length.values():
        if len(same_length) == 1:
            continue
        for split, index, record in same_length:
            key = _content(record)
            if key is None:
                continue
            earlier = seen.setdefault(key, {})
            if split in earlier:
                first = earlier[split]
                yield Finding("repeated_image", split, record.where, f"same as {first}", index)
            elif earlier:
                other, first = next(iter(earlier.items()))
                detail = f"in {other} as {first}"
                yield Finding("same_image_in_splits", split, record.where, detail, index)
            earlier.setdefault(split, record.where)


def _length(record):
    if record.byte_range is not None:
        return record.byte_range[1]
    try:
        return os.path.getsize(record.image_path)
    except OSError:
        return None  # Named as missing or undecodable when the data set was opened.


def _content(record):
    try:
        return hashlib.sha256(read_bytes(record.image_path, record.byte_range)).digest()
    except DataError:
        return None


def find_classes(tables):
    """Classes and splits that cannot be learned or measured.

    Args:
        tables: Dict from split to `BoxTable`, training first.

    Yields:
        `Finding`.
    """
    names = {split: table.dataset.class_names for split, table in tables.items()}
    first = next(iter(names))
    for split, table in tables.items():
        if len(table) == 0:
            yield Finding("no_boxes", split, table.dataset.name)
        if names[split] != names[first]:
            detail = f"{_listed(names[split])}; {first} has {_listed(names[first])}"
            yield Finding("different_classes", split, table.dataset.name, detail)
    yield from _similar_names(first, names[first])
    # By name: the kinds of classes are told even where lists differ.
    boxes = {
        split: collections.Counter(names[split][index] for index in table.classes.tolist())
        for split, table in tables.items()
    }
    if not boxes[first]:
        return
    others = [split for split in tables if split != first]
    for name in dict.fromkeys(name for listed in names.values() for name in listed):
        counts = {split: boxes[split][name] for split in others if boxes[split][name]}
        if boxes[first][name] == 0 and counts:
            split, count = next(iter(counts.items()))
            yield Finding("class_only_in_val", split, name, f"{count} boxes")
        elif boxes[first][name] == 0:
            yield Finding("class_without_boxes", first, name)
        elif others and not counts and any(boxes[split] for split in others):
            yield Finding("class_not_in_val", first, name, f"{boxes[first][name]} boxes")


def _similar_names(split, names):
    groups = collections.defaultdict(list)
    for name in names:
        plain = "".join(letter for letter in name.casefold() if letter.isalnum())
        groups[plain or name].append(name)
    for group in groups.values():
        if len(group) > 1:
            detail = " and ".join(map(repr, group))
            yield Finding("similar_class_names", split, group[0], detail)


def _listed(names, limit=8):
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _class(table, row):
    return table.dataset.class_names[table.classes[row]]


def _box(kind, split, table, row, detail, *others):
    boxes = tuple(int(table.position[r]) for r in (row, *others))
    return Finding(kind, split, table.where(row), detail, int(table.image[row]), boxes)
