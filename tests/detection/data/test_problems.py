"""The summary of problems, and checks of single boxes."""

import pytest

from detection.data import DataError, Problems
from detection.data.checks import check_box


def _some():
    problems = Problems()
    for index in range(5):
        problems.add("zero_area", f"image {index}", "bbox [1, 1, 0, 0]")
    problems.add("missing_image", "gone.jpg")
    return problems


def test_summary_names_kinds_counts_and_places():
    problems = _some()
    assert len(problems) == 6 and problems.counts() == {"zero_area": 5, "missing_image": 1}
    lines = problems.summary(limit=2).splitlines()
    assert lines[0].split()[0] == "5" and "zero width or height" in lines[0]
    assert lines[1].strip() == "- image 0: bbox [1, 1, 0, 0]"
    assert lines[3].strip() == "- and 3 more"
    assert lines[5].strip() == "- gone.jpg"
    assert Problems().summary() == "no problems found"


def test_every_image_that_is_left_out_is_listed():
    problems = Problems()
    for index in range(80):
        problems.add("undecodable_image", f"{index}.jpg")
        problems.add("clipped", f"box {index}")
    lists = problems.to_dict()
    assert lists["undecodable_image"]["first"] == [f"{index}.jpg" for index in range(80)]
    assert lists["clipped"]["count"] == 80 and len(lists["clipped"]["first"]) == 20
    text = problems.summary(rest="problems.json")
    assert "79.jpg" not in text and text.count("- and 77 more") == 2
    assert "- and 77 more: all in problems.json" in text
    assert "- and 77 more: the first 20 in problems.json" in text


def test_merge_and_refuse():
    problems = _some()
    problems.merge(_some())
    assert problems.counts()["missing_image"] == 2
    problems.refuse("Too many", ("missing_image",), allowed=2)
    with pytest.raises(DataError, match="Too many: 2 found, 1 allowed"):
        problems.refuse("Too many", ("missing_image",), allowed=1)
    with pytest.raises(ValueError, match="Received: kind='odd'"):
        problems.add("odd", "somewhere")


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1, 2, 3, 4), ((1, 2, 3, 4), None)),
        ((0, 0, 20, 10), ((0, 0, 20, 10), None)),
        # Overshoot by rounding is clipped without a word.
        ((5, 5, 20.01, 10), ((5, 5, 20, 10), None)),
        ((5, 5, 25, 10), ((5, 5, 20, 10), "clipped")),
        ((20, 5, 25, 10), (None, "outside")),
        ((5, 5, 5, 9), (None, "zero_area")),
        ((5, 5, 4, 5), (None, "negative_size")),
        ((float("nan"), 5, 4, 5), (None, "not_finite")),
    ],
)
def test_check_box(box, expected):
    assert check_box(box, height=10, width=20) == expected
