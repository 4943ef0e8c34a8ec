"""Checks of boxes while they are read, and of image files before training."""

import concurrent.futures
import math
import os

from detection.data.images import decode_image, image_size, read_bytes, reason
from detection.data.problems import DataError, Problems
from keras_resnet.data.missing_paths import first_names

# Annotations rounded to two decimals overshoot the image by a hundredth of a pixel; they are
# clipped like all others, but only what is visibly outside is worth a line in the summary.
VISIBLE_OVERSHOOT = 0.5

# Kinds of problems (see `Problems`) that leave out a whole image.


def check_box(box, height, width):
    """Looks at one box and clips it to its image.

    Args:
        box: Four numbers `(x1, y1, x2, y2)` in pixels.
        height: Number, height of the image in pixels.
        width: Number, width of the image in pixels.

    Returns:
        A tuple `(box, kind)`: the clipped box, or `None` when it has to be skipped, and the kind
        of problem found (see `Problems`), or `None`.
    """
    x1, y1, x2, y2 = map(float, box)
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return None, "not_finite"
    if x2 < x1 or y2 < y1:
        return None, "negative_size"
    if x2 == x1 or y2 == y1:
        return None, "zero_area"
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        return None, "outside"
    overshoot = max(map(abs, (a - b for a, b in zip(clipped, (x1, y1, x2, y2)))))
    return clipped, "clipped" if overshoot > VISIBLE_OVERSHOOT else None


def is_whole(value):
    """Tells whether a value of a JSON file is an integer of at most 64 bits."""
    return type(value) is int and -(2**63) <= value < 2**63


def is_size(height, width):
    """Tells whether two annotated values can be the sides of an image in pixels."""
    return type(height) is int and type(width) is int and 0 < height < 2**31 and 0 < width < 2**31


def read_size(path, byte_range=None):
    """Returns `(height, width)` of an image file from its header, or `None` if it has none."""
    try:
        if byte_range is None:
            with open(path, "rb") as file:
                return image_size(file)[0]
        return image_size(read_bytes(path, byte_range))[0]
    except (OSError, ValueError):
        return None


def check_image_count(problems, max_bad_images, place, folder=None):
    """Refuses a data set with more unusable images than allowed.

    Args:
        problems: The `Problems` found so far.
        max_bad_images: Integer, how many images may be left out.
        place: String, the data set in the message.
        folder: Optional string, where the images should be. What is there is told if some are not.

    Raises:
        DataError: Listing the first ten and the count.
    """
    try:
        problems.refuse(
            f"{place} has unusable images (`max_bad_images` allows leaving some out)",
            problems.UNUSABLE,
            allowed=max_bad_images,
        )
    except DataError as error:
        if folder is None or not problems.of_kind("missing_image"):
            raise
        raise DataError(f"{error}\n  In {folder}: {first_names(folder)}") from None


def verify_images(dataset, decode=False):
    """Opens every image of a data set and compares its size with the annotation.

    Args:
        dataset: A `DetectionDataset`.
        decode: Boolean. False reads the headers only, which is fast but does not see truncated
            files; True decodes every image.

    Returns:
        `Problems` with the kinds `"missing_image"`, `"undecodable_image"` and
        `"size_mismatch"`.
    """
    problems = Problems()
    for record, kind, detail in find_bad_images(dataset, decode):
        problems.add(kind, record.where, detail)
    return problems


def find_bad_images(dataset, decode=False):
    """Finds the images that `verify_images` counts.

    Returns:
        A list of tuples `(record, kind, detail)`.
    """
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda record: _verify(record, decode), dataset.records))
    return [
        (record, kind, f"image id {record.image_id!r}{detail}")
        for record, (kind, detail) in zip(dataset.records, found)
        if kind is not None
    ]


def _verify(record, decode):
    if not os.path.isfile(record.image_path):
        return "missing_image", ""
    try:
        if decode or record.byte_range is not None:
            data = read_bytes(record.image_path, record.byte_range)
            size, turned = image_size(data)
            if decode:
                decode_image(data, record.where)
        else:
            with open(record.image_path, "rb") as file:
                size, turned = image_size(file)
    except (OSError, ValueError) as error:  # a DataError is a ValueError
        return "undecodable_image", f": {reason(error)}"
    wanted = (record.height, record.width)
    if wanted not in (size, size[::-1] if turned else size):
        found = f"{size[1]} x {size[0]} in the file, {wanted[1]} x {wanted[0]} annotated"
        return "size_mismatch", f": {found}"
    return None, ""
