"""The classes of torchvision's COCO detectors."""

from detection.data.coco_categories import COCO_ID_OF

ROWS = 91  # the background, and COCO's ids 1 to 90 of which ten were never used


def coco_classes(unused=False):
    """Return torchvision's rows of COCO's classes, and the categories they stand for.

    Args:
        unused: bool, with the ten ids that no object has, named `"N/A"`.

    Returns:
        `(rows, categories)`: list of int, and list of `{"id": int, "name": str}`.
    """
    name_of = {number: name for name, number in COCO_ID_OF.items()}
    rows = list(range(1, ROWS)) if unused else sorted(name_of)
    return rows, [{"id": row, "name": name_of.get(row, "N/A")} for row in rows]
