"""The kinds of errors against TIDE's own implementation and by hand."""

import json
from pathlib import Path

import pytest

from detection.evaluation import error_breakdown, evaluate_coco
from detection.evaluation.errors import KINDS

TIDE = json.loads((Path(__file__).parents[1] / "data" / "tide_synthetic.json").read_text())


def truth_of(boxes, crowds=()):
    """One image of 100 pixels; boxes as (class, x, y, width, height)."""
    rows = [(box, 0) for box in boxes] + [(box, 1) for box in crowds]
    return {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": c, "bbox": xywh, "iscrowd": crowd}
            for i, ((c, *xywh), crowd) in enumerate(rows, start=1)
        ],
    }


def found(*rows):
    """Detections as (class, score, x, y, width, height)."""
    return [
        {"image_id": 1, "category_id": c, "score": score, "bbox": list(xywh)}
        for c, score, *xywh in rows
    ]


def counts(breakdown):
    return {kind: row["count"] for kind, row in breakdown["kinds"].items() if row["count"]}


def test_equal_to_tide():
    breakdown = error_breakdown(TIDE["truth"], TIDE["results"])
    assert breakdown["AP"] == pytest.approx(TIDE["tide"]["AP"], abs=1e-12)
    assert tuple(breakdown["kinds"]) == KINDS
    for kind in KINDS:
        assert breakdown["kinds"][kind]["count"] == TIDE["tide"]["count"][kind]
        expected = pytest.approx(TIDE["tide"]["cost"][kind], abs=1e-12)
        assert breakdown["kinds"][kind]["cost"] == expected, kind


def test_ap_is_that_of_coco():
    expected = evaluate_coco(TIDE["truth"], TIDE["results"])["AP50"]
    assert error_breakdown(TIDE["truth"], TIDE["results"])["AP"] == pytest.approx(
        expected, abs=1e-9
    )


@pytest.mark.parametrize(
    "detection, kind",
    [
        ((1, 0.5, 0, 0, 10, 10), "duplicate"),
        ((1, 0.5, 0, 0, 10, 4), "localization"),
        ((2, 0.5, 0, 0, 10, 10), "classification"),
        ((2, 0.5, 0, 0, 10, 4), "both"),
        ((1, 0.5, 60, 60, 10, 10), "background"),
    ],
)
def test_a_wrong_detection_beside_a_right_one(detection, kind):
    truth = truth_of([(1, 0, 0, 10, 10)])
    breakdown = error_breakdown(truth, found((1, 0.9, 0, 0, 10, 10), detection))
    assert counts(breakdown) == {kind: 1}
    # It comes after all objects have been found, so it costs nothing.
    assert breakdown["AP"] == 1.0 and breakdown["kinds"][kind]["cost"] == 0.0


def test_a_bad_box_of_an_object_that_nothing_else_finds():
    truth = truth_of([(1, 0, 0, 10, 10), (1, 50, 50, 10, 10)])
    breakdown = error_breakdown(
        truth, found((1, 0.9, 0, 0, 10, 10), (1, 0.8, 50, 50, 10, 4), (1, 0.7, 50, 50, 10, 3))
    )
    assert counts(breakdown) == {"localization": 2}
    # 51 of the 101 recalls are reached with precision 1; the better of the two boxes, put right,
    # reaches the others, and the second one is a duplicate then and taken away.
    assert breakdown["AP"] == pytest.approx(51 / 101)
    assert breakdown["kinds"]["localization"]["cost"] == pytest.approx(50 / 101)


def test_missed_objects_are_not_asked_for():
    truth = truth_of([(1, 0, 0, 10, 10), (1, 50, 50, 10, 10)])
    breakdown = error_breakdown(truth, found((1, 0.9, 0, 0, 10, 10)))
    assert counts(breakdown) == {"missed": 1}
    assert breakdown["kinds"]["missed"]["cost"] == pytest.approx(50 / 101)


def test_a_detection_on_a_crowd_of_its_class_counts_nowhere():
    truth = truth_of([(1, 0, 0, 10, 10)], crowds=[(1, 40, 40, 50, 50)])
    right = (1, 0.5, 0, 0, 10, 10)
    assert counts(error_breakdown(truth, found((1, 0.9, 50, 50, 10, 10), right))) == {}
    assert counts(error_breakdown(truth, found((2, 0.9, 50, 50, 10, 10), right))) == {
        "background": 1
    }


def test_nothing_found_and_nothing_there():
    truth = truth_of([(1, 0, 0, 10, 10)])
    assert counts(error_breakdown(truth, [])) == {"missed": 1}
    empty = error_breakdown(truth_of([]), found((1, 0.9, 0, 0, 9, 9)))
    assert empty["AP"] == -1.0 and counts(empty) == {"background": 1}


def test_thresholds_in_the_wrong_order():
    with pytest.raises(ValueError, match=r"background_threshold=0\.6, iou"):
        error_breakdown(truth_of([]), [], background_threshold=0.6)
