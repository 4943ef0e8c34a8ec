import numpy as np
import pytest

from detection.evaluation.results import to_coco_results


def test_boxes_ids_and_padding():
    boxes = np.array([[1, 2, 4, 6], [10, 20, 30, 25], [0, 0, 0, 0]], "float32")
    results = to_coco_results(
        np.int64(7), boxes, np.array([0.5, 0.25, 0], "float32"), np.array([1, 0, -1]), [18, 44]
    )
    assert results == [
        {"image_id": 7, "category_id": 44, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5},
        {"image_id": 7, "category_id": 18, "bbox": [10.0, 20.0, 20.0, 5.0], "score": 0.25},
    ]
    assert type(results[0]["image_id"]) is int
    assert type(results[0]["score"]) is float


def test_no_detections():
    assert to_coco_results("a.jpg", np.zeros((0, 4)), [], [], [1]) == []


def test_numpy_category_ids_become_plain():
    (row,) = to_coco_results("a.jpg", [[0, 0, 1, 1]], [1], [0], np.array([90]))
    assert type(row["category_id"]) is int and row["category_id"] == 90


def test_errors():
    with pytest.raises(ValueError, match="Received: 1 boxes, 2 scores, 1 classes"):
        to_coco_results(1, [[0, 0, 1, 1]], [1, 2], [0], [1])
    with pytest.raises(ValueError, match="Received: class 3 with 2 category ids"):
        to_coco_results(1, [[0, 0, 1, 1]], [1], [3], [1, 2])
