"""Pictures of what the data check looked at: images with their boxes, and what is suspicious."""

import os

import numpy as np

from detection.data import DataError
from detection.visualize import draw_detections, image_grid
from keras_resnet.data.printable import printable

_CELL = (320, 260)
_COLUMNS = 4


def sample_sheet(datasets, count=16, seed=0):
    """Images of all splits with their boxes, chosen so that many classes are seen.

    Args:
        datasets: Dict from split to `DetectionDataset`.
        count: Integer, number of images.
        seed: Integer; the same seed chooses the same images.

    Returns:
        An RGB `PIL.Image`, or `None` where there is no image.
    """
    first, *others = datasets
    share = count if not others else max(1, count * 3 // 4)
    # What a small split cannot fill is left to the other one.
    rest = sum(min(len(datasets[split]), count - share) for split in others)
    pictures, captions = [], []
    for split, dataset in datasets.items():
        wanted = max(share, count - rest) if split == first else count - len(pictures)
        for index in _varied(dataset, wanted, seed):
            picture = _draw(dataset, index)
            if picture is not None:
                record = dataset.records[index]
                captions.append(f"{split}: {_file(record)}, {_boxes(len(record.boxes))}")
                pictures.append(picture)
    return _grid(pictures, captions)


def suspicious_sheet(datasets, problems, count=16):
    """Images with suspicious boxes, of every kind some, with nothing but these boxes drawn.

    Args:
        datasets: Dict from split to `DetectionDataset`.
        problems: Sequence of `Problem`.
        count: Integer, number of images.

    Returns:
        An RGB `PIL.Image`, or `None` where there is nothing to draw.
    """
    kinds = [
        [finding for finding in problem.findings if finding.image is not None]
        for problem in problems
        if problem.level != "note"
    ]
    kinds = [found for found in kinds if found]
    # In turns, so that a kind with many places does not hide the others.
    longest = max(map(len, kinds), default=0)
    turns = [found[i] for i in range(min(longest, count)) for found in kinds if i < len(found)]
    pictures, captions = [], []
    for finding in turns[:count]:
        dataset = datasets[finding.split]
        picture = _draw(dataset, finding.image, list(finding.boxes))
        if picture is not None:
            name = _file(dataset.records[finding.image])
            captions.append(f"{finding.kind.replace('_', ' ')}: {finding.split}, {name}")
            pictures.append(picture)
    return _grid(pictures, captions)


def _varied(dataset, count, seed):
    """Positions of images, each of which shows the class that was seen least so far."""
    order = np.random.default_rng(seed).permutation(len(dataset)).tolist()
    seen = np.zeros(len(dataset.categories), "int64")
    images_of = [[] for _ in dataset.categories]
    for index in order:
        for label in set(dataset.records[index].classes.tolist()):
            if len(images_of[label]) < count:
                images_of[label].append(index)
    chosen = []
    while len(chosen) < min(count, len(order)):
        taken = set(chosen)
        open_classes = [k for k, images in enumerate(images_of) if set(images) - taken]
        if open_classes:
            rarest = min(open_classes, key=lambda k: seen[k])
            index = next(i for i in images_of[rarest] if i not in taken)
        else:
            index = next(i for i in order if i not in taken)
        chosen.append(index)
        np.add.at(seen, dataset.records[index].classes, 1)
    return chosen


def _draw(dataset, index, only=None):
    record = dataset.records[index]
    try:
        image = dataset.read_image(index)
    except DataError:
        return None  # Left out by training too, and named among the problems.
    rows = slice(None) if only is None else only
    names = [printable(name) for name in dataset.class_names]
    return draw_detections(image, record.boxes[rows], record.classes[rows], class_names=names)


def _grid(pictures, captions):
    if not pictures:
        return None
    return image_grid(pictures, columns=_COLUMNS, cell_size=_CELL, captions=captions)


def _file(record):
    name = os.path.basename(record.image_path)
    return printable(name if record.byte_range is None else str(record.image_id))


def _boxes(count):
    return "1 box" if count == 1 else f"{count} boxes"
