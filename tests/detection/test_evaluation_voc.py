from pathlib import Path

import numpy as np
import pytest

from detection.evaluation.voc import evaluate_voc, voc_average_precision

GOLDEN = Path(__file__).parents[1] / "data" / "voc_map.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as data:
        return dict(data)


def per_image(golden, name):
    return [golden[f"{name}_{index}"] for index in range(24)]


ARRAYS = ("gt_boxes", "gt_classes", "gt_difficult", "boxes", "classes", "scores")


def check(found, golden):
    np.testing.assert_allclose(found["ap_07"], golden["ap_07"], atol=1e-6)
    np.testing.assert_allclose(found["ap_area"], golden["ap_area"], atol=1e-6)
    assert found["map_07"] == pytest.approx(golden["map_07"], abs=1e-6)
    assert found["map_area"] == pytest.approx(golden["map_area"], abs=1e-6)


def test_arrays_agree_with_golden_values(golden):
    found = voc_average_precision(*(per_image(golden, name) for name in ARRAYS), num_classes=5)
    check(found, golden)
    classes = np.concatenate(per_image(golden, "gt_classes"))
    difficult = np.concatenate(per_image(golden, "gt_difficult"))
    expected = np.bincount(classes[~difficult], minlength=5)
    assert found["num_objects"].tolist() == expected.tolist()
    assert found["num_ignored"].sum() == difficult.sum()


def test_padding_does_not_count(golden):
    padded = {name: per_image(golden, name) for name in ARRAYS}
    padded["boxes"] = [np.pad(rows, ((0, 3), (0, 0))) for rows in padded["boxes"]]
    padded["scores"] = [np.pad(rows, (0, 3)) for rows in padded["scores"]]
    padded["classes"] = [np.pad(rows, (0, 3), constant_values=-1) for rows in padded["classes"]]
    check(voc_average_precision(*padded.values(), num_classes=5), golden)


def coco_form(golden, string_ids=False):
    """The golden boxes, which end at their last pixel, as continuous COCO boxes."""
    images, annotations, results = [], [], []
    for index in range(24):
        image_id = f"{index:06d}" if string_ids else index
        images.append({"id": image_id})
        truth = (golden[f"{name}_{index}"] for name in ("gt_boxes", "gt_classes", "gt_difficult"))
        for (x1, y1, x2, y2), label, difficult in zip(*truth):
            row = {"image_id": image_id, "category_id": 10 * int(label) + 3}
            row |= {"id": len(annotations), "difficult": bool(difficult)}
            annotations.append(row | {"bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1]})
        found = (golden[f"{name}_{index}"] for name in ("boxes", "classes", "scores"))
        for (x1, y1, x2, y2), label, score in zip(*found):
            row = {"image_id": image_id, "category_id": 10 * int(label) + 3, "score": score}
            results.append(row | {"bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1]})
    categories = [{"id": 10 * label + 3, "name": f"c{label}"} for label in range(5)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


@pytest.mark.parametrize("string_ids", [False, True])
def test_coco_form_agrees_with_golden_values(golden, string_ids):
    metrics = evaluate_voc(*coco_form(golden, string_ids))
    assert metrics["mAP07"] == pytest.approx(golden["map_07"], abs=1e-6)
    assert metrics["mAP_area"] == pytest.approx(golden["map_area"], abs=1e-6)
    own = [row["AP07"] for row in metrics["per_class"]]
    np.testing.assert_allclose(own, golden["ap_07"], atol=1e-6)
    assert [row["category_id"] for row in metrics["per_class"]] == [3, 13, 23, 33, 43]
    assert metrics["per_class"][2]["name"] == "c2"


def test_crowd_is_ignored_like_difficult(golden):
    truth, results = coco_form(golden)
    for row in truth["annotations"]:
        row["iscrowd"] = int(row.pop("difficult"))
    assert evaluate_voc(truth, results)["mAP07"] == pytest.approx(golden["map_07"], abs=1e-6)


def test_hand_computed_case():
    # Three objects; in order of score: right, wrong, a repeat of the first, right.
    objects = [[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]]
    found = [[0, 0, 9, 9], [70, 0, 79, 9], [0, 0, 9, 8], [20, 0, 29, 9]]
    out = voc_average_precision(
        [objects], [[0, 0, 0]], None, [found], [[0] * 4], [[0.9, 0.8, 0.7, 0.6]], num_classes=2
    )
    # Precisions 1, 1/2, 1/3, 1/2 at recalls 1/3, 1/3, 1/3, 2/3.
    assert out["ap_07"][0] == pytest.approx((4 * 1 + 3 * 0.5) / 11)
    assert out["ap_area"][0] == pytest.approx(1 / 3 * 1 + 1 / 3 * 0.5)
    assert np.isnan(out["ap_07"][1]) and np.isnan(out["ap_area"][1])
    assert out["map_area"] == out["ap_area"][0]


@pytest.mark.parametrize("count", [3, 6, 7])
def test_recall_of_exactly_a_tenth_counts(count):
    # `count` of 10 objects found without a mistake: precision 1 at recalls 0, 0.1 ... count/10.
    objects = [[20 * index, 0, 20 * index + 9, 9] for index in range(10)]
    out = voc_average_precision(
        [objects], [[0] * 10], None, [objects[:count]], [[0] * count], [[0.5] * count], 1
    )
    assert out["ap_07"][0] == pytest.approx((count + 1) / 11)


def test_inclusive_pixels_decide_at_the_threshold():
    # 1 x 10 inclusive pixels inside 2 x 10: IoU 1/2, a match; continuous: 0 x 9, no match.
    args = [[[0, 0, 1, 9]]], [[0]], None, [[[0, 0, 0, 9]]], [[0]], [[0.5]]
    assert voc_average_precision(*args, num_classes=1)["map_area"] == 1.0
    assert voc_average_precision(*args, num_classes=1, inclusive=False)["map_area"] == 0.0


def test_difficult_only_class_does_not_count():
    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "difficult": 1},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], "difficult": 0},
        ],
    }
    metrics = evaluate_voc(truth, [])
    assert [row["AP_area"] for row in metrics["per_class"]] == [-1.0, 0.0]
    assert (metrics["mAP07"], metrics["mAP_area"]) == (0.0, 0.0)
    assert metrics["per_class"][0]["num_ignored"] == 1


def test_no_ground_truth_gives_minus_one():
    truth = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.9}]
    assert evaluate_voc(truth, found)["mAP07"] == -1.0
    assert evaluate_voc(dict(truth, images=[]), [])["mAP_area"] == -1.0


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="Received: lists of lengths"):
        voc_average_precision([[]], [[]], None, [], [], [], num_classes=1)
