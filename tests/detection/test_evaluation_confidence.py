"""Precision, recall and F1 by confidence against plain loops, and how they are drawn."""

import numpy as np
import pytest

from detection.evaluation import confidence_curves, confusion_matrix
from detection.plots import plot_confidence_curve, plot_confusion_matrix
from tests.detection.evaluation_cases import random_case
from tests.detection.test_plots import assert_is_a_picture, figures  # noqa: F401


def iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def naive(truth, results, category, least):
    """Counts with a loop over the detections that are left at one confidence."""
    true = found = objects = 0
    for image in truth["images"]:
        own = [
            a
            for a in truth["annotations"]
            if (a["image_id"], a["category_id"]) == (image["id"], category)
        ]
        objects += len(own)
        left = [
            r
            for r in results
            if (r["image_id"], r["category_id"]) == (image["id"], category) and r["score"] >= least
        ]
        taken = set()
        for row in sorted(left, key=lambda r: -r["score"]):
            found += 1
            best, place = 0.5, None
            for number, annotation in enumerate(own):
                share = iou(row["bbox"], annotation["bbox"])
                if number not in taken and share >= best and (place is None or share > best):
                    best, place = share, number
            if place is not None:
                taken.add(place)
                true += 1
    precision = true / found if found else 1.0
    recall = true / objects
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return precision, recall, f1


def case(seed):
    truth, results = random_case(seed)
    truth["annotations"] = [a for a in truth["annotations"] if not a.get("iscrowd")]
    for row in truth["annotations"]:
        row.pop("difficult", None)
    return truth, results


@pytest.mark.parametrize("seed", range(3))
def test_as_counted_by_loops(seed):
    truth, results = case(seed)
    curves = confidence_curves(truth, results)
    assert curves["confidence"] == pytest.approx(np.linspace(0, 1, 101))
    means = []
    for row in curves["per_class"]:
        if not row["num_objects"]:
            assert row["f1"] is None
            continue
        found = np.array([row[kind] for kind in ("precision", "recall", "f1")]).T
        expected = [naive(truth, results, row["category_id"], c) for c in curves["confidence"]]
        np.testing.assert_allclose(found, expected, atol=1e-12)
        means.append(row["f1"])
    np.testing.assert_allclose(curves["mean"]["f1"], np.mean(means, axis=0))
    assert means


def test_crowds_and_difficult_objects_do_not_count():
    def box(number, **more):
        return {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "bbox": [20 * number, 0, 9, 9],
        } | more

    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [box(1), box(2, iscrowd=1), box(3, difficult=True)],
    }
    results = [
        {"image_id": 1, "category_id": 1, "bbox": [20 * n, 0, 9, 9], "score": 0.9 - 0.1 * n}
        for n in (1, 2, 3, 4)
    ]
    row, other = confidence_curves(truth, results)["per_class"]
    assert row["num_objects"] == 1 and other["precision"] is None
    # Of the four only the first is right, and the last, at 0.5, wrong.
    assert row["precision"][50] == 0.5 and row["precision"][55] == 1.0
    assert row["recall"][50] == 1.0
    assert confidence_curves({**truth, "annotations": []}, results)["mean"] is None


def test_pictures(tmp_path, figures):  # noqa: F811
    truth, results = case(1)
    curves = confidence_curves(truth, results)
    for number, kind in enumerate(("precision", "recall", "f1")):
        plot_confidence_curve(curves, kind, tmp_path / f"{kind}.png")
        assert_is_a_picture(tmp_path / f"{kind}.png", "PNG")
        lines = figures[number].axes[0].get_lines()
        drawn = [line for line in lines if len(line.get_xdata()) == 101]
        rows = [row for row in curves["per_class"] if row["num_objects"]]
        assert len(drawn) == len(rows) + 1
        assert drawn[0].get_ydata().tolist() == rows[0][kind]
        assert drawn[-1].get_ydata().tolist() == pytest.approx(curves["mean"][kind])
    with pytest.raises(ValueError, match="Received: kind='ap'"):
        plot_confidence_curve(curves, "ap", tmp_path / "no.png")


def test_normalised_confusion_matrix_shows_shares_of_rows(tmp_path, figures):  # noqa: F811
    truth, results = case(2)
    matrix = confusion_matrix(truth, results)
    names = [category["name"] for category in truth["categories"]]
    path = tmp_path / "confusion_matrix_normalized.png"
    plot_confusion_matrix(matrix, names, path, normalized=True)
    assert_is_a_picture(path, "PNG")
    shown = [(text.get_position(), float(text.get_text())) for text in figures[0].axes[0].texts]
    assert len(shown) == np.count_nonzero(matrix)
    for (column, row), value in shown:
        assert value == pytest.approx(matrix[row, column] / sum(matrix[row]), abs=0.005001)
