import numpy as np
import pytest

from detection.evaluation.confusion import confusion_matrix
from tests.detection.evaluation_cases import random_case


def truth_of(*objects):
    annotations = [
        {"id": index, "image_id": 1, "category_id": category, "bbox": box, **flags}
        for index, (category, box, flags) in enumerate(objects)
    ]
    categories = [{"id": 5, "name": "cat"}, {"id": 9, "name": "dog"}]
    return {"images": [{"id": 1}, {"id": 2}], "annotations": annotations, "categories": categories}


def result(category, box, score, image_id=1):
    return {"image_id": image_id, "category_id": category, "bbox": box, "score": score}


def test_hand_computed_case():
    truth = truth_of(
        (5, [0, 0, 10, 10], {}),  # found
        (5, [20, 0, 10, 10], {}),  # taken for a dog
        (9, [40, 0, 10, 10], {}),  # not found: the overlap is 1/3, and another score too low
        (9, [60, 0, 10, 10], {}),  # found twice
    )
    results = [
        result(5, [0, 0, 10, 8], 0.9),
        result(9, [20, 0, 10, 10], 0.8),
        result(9, [45, 0, 10, 10], 0.7),
        result(9, [40, 0, 10, 10], 0.2),
        result(9, [60, 0, 10, 10], 0.6),
        result(5, [60, 0, 10, 10], 0.5),
        result(5, [0, 0, 10, 10], 0.9, image_id=2),
    ]
    expected = [
        [1, 1, 0],
        [0, 1, 1],
        [2, 1, 0],
    ]
    assert confusion_matrix(truth, results).tolist() == expected


def test_score_decides_who_takes_an_object():
    truth = truth_of((5, [0, 0, 10, 10], {}))
    results = [result(9, [0, 0, 10, 10], 0.5), result(5, [0, 0, 10, 6], 0.9)]
    assert confusion_matrix(truth, results).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_crowd_and_difficult_count_for_nothing():
    truth = truth_of(
        (5, [0, 0, 100, 100], {"iscrowd": 1}), (9, [200, 0, 10, 10], {"difficult": True})
    )
    results = [
        result(5, [10, 10, 20, 20], 0.9),  # in the crowd
        result(5, [90, 10, 20, 20], 0.9),  # half in it
        result(5, [95, 10, 20, 20], 0.9),  # a quarter in it: background
        result(9, [200, 0, 10, 10], 0.9),
    ]
    assert confusion_matrix(truth, results).tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("seed", [0, 1])
def test_every_object_and_detection_is_counted_once(seed):
    truth, results = random_case(seed)
    for row in truth["annotations"]:
        row["iscrowd"], row["difficult"] = 0, False
    matrix = confusion_matrix(truth, results, score_threshold=0.0)
    categories = [row["id"] for row in truth["categories"]]
    objects = [sum(row["category_id"] == key for row in truth["annotations"]) for key in categories]
    found = [sum(row["category_id"] == key for row in results) for key in categories]
    assert matrix[:-1].sum(axis=1).tolist() == objects
    assert matrix[:, :-1].sum(axis=0).tolist() == found
    assert matrix[-1, -1] == 0
    assert matrix.dtype == np.int64
