"""The short text on a data set."""

import numpy as np

from detection.data.dataset import Category, DetectionDataset, Record


def of_classes(counts):
    """A data set with an image for each class, on which it is so often."""
    categories = [Category(i + 1, f"class{i}") for i in range(len(counts))]
    records = [
        Record(f"{i}.jpg", i, 9, 9, np.tile([[1.0, 2, 5, 6]], (n, 1)), np.full(n, i))
        for i, n in enumerate(counts)
    ]
    return DetectionDataset("set", categories, records)


def test_of_many_classes_the_commonest_are_named():
    data = of_classes(range(80))
    first, classes, _ = data.summary().splitlines()
    assert first == "set: 80 images (1 without boxes), 3160 boxes, 80 classes"
    assert classes == (
        "  boxes by class: class79 79, class78 78, class77 77, class76 76, class75 75, class74 74, "
        "class73 73, class72 72, class71 71, class70 70 and 70 more"
    )
    assert len(data.to_coco()["categories"]) == 80 and len(data.to_coco()["annotations"]) == 3160


def test_of_few_classes_all_are_named():
    assert of_classes([2, 3, 0]).summary().splitlines()[1] == (
        "  boxes by class: class1 3, class0 2, class2 0"
    )
    assert of_classes([1] * 10).summary().splitlines()[1].endswith(", class9 1")
