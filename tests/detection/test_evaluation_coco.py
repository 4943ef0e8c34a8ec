import copy

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection.evaluation.coco import evaluate_coco
from tests.detection.evaluation_cases import random_case

NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def pycocotools_directly(truth, results):
    truth, results = copy.deepcopy(truth), copy.deepcopy(results)
    for annotation in truth["annotations"]:
        annotation["id"] += 1
    coco = COCO()
    coco.dataset = truth
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_figures_are_those_of_pycocotools(seed, capsys):
    truth, results = random_case(seed)
    expected = pycocotools_directly(truth, results)
    capsys.readouterr()
    metrics = evaluate_coco(truth, results, curves=True)
    assert capsys.readouterr().out == ""
    assert 0.05 < metrics["AP"] < 0.95
    assert [metrics[name] for name in NAMES] == pytest.approx(expected.stats.tolist(), abs=1e-12)
    precision = expected.eval["precision"]
    for index, row in enumerate(metrics["per_class"]):
        own = precision[:, :, index, 0, 2]
        if (own > -1).any():
            assert row["AP"] == pytest.approx(own.mean(), abs=1e-12)
            assert row["AP50"] == pytest.approx(own[0].mean(), abs=1e-12)
            curve = metrics["pr_curves"]["per_class"][index]
            assert curve["precision"] == own[0].tolist()
    assert metrics["pr_curves"]["recall"] == pytest.approx(np.arange(101) / 100)


def test_class_without_objects_is_minus_one_and_does_not_count():
    truth, results = random_case()
    metrics = evaluate_coco(truth, results, curves=True)
    assert [row["category_id"] for row in metrics["per_class"]] == [3, 18, 44, 90]
    absent = metrics["per_class"][3]
    assert (absent["AP"], absent["AP50"], absent["num_objects"]) == (-1.0, -1.0, 0)
    assert absent["num_detections"] == sum(row["category_id"] == 90 for row in results) > 0
    assert metrics["pr_curves"]["per_class"][3]["precision"] is None
    present = [row["AP"] for row in metrics["per_class"][:3]]
    assert metrics["AP"] == pytest.approx(np.mean(present), abs=1e-12)


@pytest.mark.parametrize("kind", ["string", "numpy", "mixed"])
def test_image_ids_of_any_type(kind):
    truth, results = random_case()
    ids = {row["id"] for row in truth["images"]}
    new = {
        "string": {key: f"{key}.jpg" for key in ids},
        "numpy": {key: np.int64(key) for key in ids},
        "mixed": {key: f"{key}.jpg" if key % 2 else key for key in ids},
    }[kind]
    expected = evaluate_coco(truth, results)
    truth, results = copy.deepcopy(truth), copy.deepcopy(results)
    for row in truth["images"]:
        row["id"] = new[row["id"]]
    for row in truth["annotations"] + results:
        row["image_id"] = new[row["image_id"]]
    assert evaluate_coco(truth, results) == expected


def test_inputs_are_not_changed():
    truth, results = random_case()
    before = copy.deepcopy((truth, results))
    evaluate_coco(truth, results)
    assert (truth, results) == before


def test_hand_computed_case():
    # Two objects of 10 x 10. One is found by a box of 10 x 8 (IoU 0.8: right at 7 of the 10
    # thresholds), the other is not: the precision is 1 up to recall 0.5, 51 of 101 points.
    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": 7, "name": "thing"}],
        "annotations": [
            {"id": 0, "image_id": 1, "category_id": 7, "bbox": [0, 0, 10, 10]},
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [50, 50, 10, 10]},
        ],
    }
    results = [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 10, 8], "score": 0.9}]
    metrics = evaluate_coco(truth, results)
    assert metrics["AP50"] == pytest.approx(51 / 101)
    assert metrics["AP"] == pytest.approx(0.7 * 51 / 101)
    assert metrics["AR1"] == pytest.approx(0.35)
    assert metrics["APs"] == metrics["AP"]
    assert metrics["APm"] == metrics["ARl"] == -1.0


def test_crowd_is_ignored():
    truth, _ = random_case()
    crowd = {"id": 1, "image_id": 100, "category_id": 3, "bbox": [0, 0, 100, 100], "iscrowd": 1}
    one = {"id": 2, "image_id": 100, "category_id": 3, "bbox": [200, 0, 40, 40]}
    truth["annotations"] = [crowd, one]
    inside = {"image_id": 100, "category_id": 3, "bbox": [10, 10, 20, 20], "score": 0.9}
    right = {"image_id": 100, "category_id": 3, "bbox": [200, 0, 40, 40], "score": 0.5}
    metrics = evaluate_coco(truth, [inside, right])
    assert metrics["AP"] == pytest.approx(1.0)
    assert metrics["per_class"][0]["num_objects"] == 1
    truth["annotations"] = [one]
    assert evaluate_coco(truth, [inside, right])["AP"] == pytest.approx(0.5)


def test_no_results_gives_zeros():
    truth, _ = random_case()
    metrics = evaluate_coco(truth, [])
    assert [metrics[name] for name in NAMES] == [0.0] * 12


@pytest.mark.parametrize("with_results", [False, True])
def test_no_ground_truth_gives_minus_one(with_results):
    truth, results = random_case()
    truth["annotations"] = []
    metrics = evaluate_coco(truth, results if with_results else [])
    assert [metrics[name] for name in NAMES] == [-1.0] * 12


def test_no_images_gives_minus_one():
    metrics = evaluate_coco({"images": [], "annotations": [], "categories": [{"id": 1}]}, [])
    assert [metrics[name] for name in NAMES] == [-1.0] * 12
    assert metrics["per_class"][0]["name"] == "1"


def test_max_dets():
    # Three objects, three perfect boxes: with one detection an image a third is found.
    truth, _ = random_case()
    boxes = [[0, 0, 50, 50], [100, 0, 50, 50], [0, 100, 50, 50]]
    rows = [{"image_id": 100, "category_id": 3, "bbox": box} for box in boxes]
    truth["annotations"] = [dict(row, id=index) for index, row in enumerate(rows)]
    results = [dict(row, score=0.5) for row in rows]
    metrics = evaluate_coco(truth, results, max_dets=(1, 2, 3))
    assert [metrics[name] for name in ("AR1", "AR2", "AR3")] == pytest.approx([1 / 3, 2 / 3, 1])
    assert metrics["AP"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"Received: max_dets=\(10, 1, 100\)"):
        evaluate_coco(truth, results, max_dets=(10, 1, 100))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"category_id": 0}, "Received: category_id=0"),
        ({"image_id": "100"}, "Received: image_id='100'"),
        ({"score": float("nan")}, "Received: score=nan"),
        ({"bbox": [0, 0, float("inf"), 1]}, "Received: bbox="),
        ({"bbox": [0, 0, 1]}, "Received: bbox="),
    ],
)
def test_results_that_would_be_misread_are_refused(change, message):
    truth, results = random_case()
    results[3].update(change)
    with pytest.raises(ValueError, match=message):
        evaluate_coco(truth, results)


def test_wrong_ground_truth_is_refused():
    truth, results = random_case()
    with pytest.raises(ValueError, match="without categories"):
        evaluate_coco({key: truth[key] for key in ("images", "annotations")}, results)
    truth["images"].append(truth["images"][0])
    with pytest.raises(ValueError, match="images must be unique"):
        evaluate_coco(truth, results)
