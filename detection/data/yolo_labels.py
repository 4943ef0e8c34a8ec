"""Label files of YOLO data sets: a line for each object, in shares of the image's sides."""

import os

from detection.data.checks import check_box
from keras_resnet.data.printable import printable

_MAX_BYTES = 2**26  # A file describes one image.


def read_labels(path, size, class_of, keypoint_values, problems):
    """Reads the objects of one image.

    Args:
        path: String, the label file.
        size: Tuple `(height, width)` of the image in pixels.
        class_of: Dict from the numbers in the file to contiguous classes.
        keypoint_values: Integer, how many numbers follow the box in each line (data sets of
            poses), or `None`.
        problems: `Problems`, to which lines that cannot be used are added.

    Returns:
        A tuple `(boxes, classes)` of lists, boxes as `(x1, y1, x2, y2)` in pixels.

    Raises:
        ValueError: If it is no text.
        OSError: If it cannot be read.
    """
    boxes, classes = [], []
    height, width = size
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split()
        if not fields:
            continue
        where = f"{path}, line {number}"
        found = parse_row(fields, keypoint_values)
        if found is None:
            problems.add("malformed_box", where, printable(line, 100))
            continue
        class_id, (x1, y1, x2, y2) = found
        if class_id not in class_of:
            known = f"{min(class_of)} to {max(class_of)}"
            problems.add("unknown_category", where, f"class {fields[0]}; data.yaml has {known}")
            continue
        box, kind = check_box((x1 * width, y1 * height, x2 * width, y2 * height), height, width)
        if kind is not None:
            problems.add(kind, where, f"{printable(line, 100)}{_hint(kind, fields)}")
        if box is not None:
            boxes.append(box)
            classes.append(class_of[class_id])
    return boxes, classes


def parse_row(fields, keypoint_values=None):
    """What one line of a label file says.

    Args:
        fields: List of strings: the class and the box `x y width height` around its centre; or the
            class and the points `x y x y x y ...` of an outline, of which the bounding box is
            taken.
        keypoint_values: Integer, how many numbers follow the box, or `None`.

    Returns:
        A tuple `(class_id, (x1, y1, x2, y2))`, or `None` where it is neither. The numbers may be
        anything that a float can be.

    Example:

    ```python
    parse_row("2 0.5 0.5 0.2 0.4".split())        # (2, (0.4, 0.3, 0.6, 0.7))
    ```
    """
    try:
        class_id, *values = map(float, fields)
    except ValueError:
        return None
    if not class_id.is_integer():  # Neither NaN nor infinities are.
        return None
    if len(values) == 4 or (keypoint_values and len(values) == 4 + keypoint_values):
        x, y, width, height = values[:4]
        return int(class_id), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(values) < 6 or len(values) % 2:
        return None
    if any(value != value for value in values):  # min and max would hide NaN.
        return int(class_id), (float("nan"),) * 4
    xs, ys = values[::2], values[1::2]
    return int(class_id), (min(xs), min(ys), max(xs), max(ys))


def _hint(kind, fields):
    in_pixels = kind in ("outside", "clipped") and any(float(value) > 2 for value in fields[1:])
    return " (numbers are shares of the image's sides, not pixels)" if in_pixels else ""


def _lines(path):
    if os.path.getsize(path) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES:,} bytes")
    with open(path, encoding="utf-8-sig") as file:
        return file.read().split("\n")
