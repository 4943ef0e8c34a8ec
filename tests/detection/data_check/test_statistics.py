"""Counts and sizes of a split, worked out by hand."""

import json

import numpy as np
import pytest

from detection.data import Category, DataPipelineConfig, DetectionDataset, Record, load_coco
from detection.data_check.statistics import histogram, split_statistics
from detection.data_check.table import BoxTable
from tests.detection.data_check.sample import annotations

PIPELINE = DataPipelineConfig(min_sides=(50, 100), max_side=150)


def made():
    categories = [Category(7, "cat"), Category(3, "dog"), Category(4, "cow")]
    records = [
        Record("a.jpg", 1, 100, 200, [[0, 0, 10, 40], [20, 20, 120, 60]], [0, 1]),
        Record("b.jpg", 2, 200, 100, [], []),
        Record(
            *("c.jpg", 3, 100, 200, [[0, 0, 200, 100], [1, 1, 31, 31], [5, 5, 9, 9]], [0, 0, 1]),
            is_crowd=[True, False, False],
            difficult=[False, True, False],
        ),
    ]
    return DetectionDataset("made", categories, records)


def test_counts():
    found = split_statistics(BoxTable(made()))
    assert (found["images"], found["images_without_boxes"], found["boxes"]) == (3, 1, 5)
    assert (found["crowd_boxes"], found["difficult_boxes"]) == (1, 1)
    rows = {row["name"]: row for row in found["classes"]}
    assert (rows["cat"]["boxes"], rows["cat"]["images"], rows["cat"]["share"]) == (3, 2, 0.6)
    assert (rows["dog"]["boxes"], rows["dog"]["images"]) == (2, 2)
    nothing = {"boxes": 0, "images": 0, "share": 0.0, "median_size": None}
    assert rows["cow"] == {"name": "cow", **nothing}
    assert rows["cat"]["median_size"] == 30  # of 20, 30 and 141
    assert found["image_sizes"]["most_common"] == [
        {"height": 100, "width": 200, "images": 2},
        {"height": 200, "width": 100, "images": 1},
    ]
    per_image = found["boxes_per_image"]
    assert (per_image["min"], per_image["mean"], per_image["max"]) == (0, 1.66667, 3)
    assert per_image["histogram"] == [
        {"range": "0", "count": 1},
        {"range": "1", "count": 0},
        {"range": "2-3", "count": 2},
    ]


def test_sizes_and_shapes():
    found = split_statistics(BoxTable(made()))
    # 10 x 40, 100 x 40, 200 x 100, 30 x 30, 4 x 4
    assert found["box_size"]["min"] == 4
    assert found["box_size"]["50%"] == 30
    assert found["box_size"]["max"] == pytest.approx(np.sqrt(20000), rel=1e-5)
    counts = {row["range"]: row["count"] for row in found["box_size_histogram"]}
    assert [counts[name] for name in ("< 16 px", "16-32 px", "32-64 px", "128-256 px")] == [
        *(1, 2, 1, 1)
    ]
    shapes = {row["range"]: row["count"] for row in found["aspect_ratio_histogram"]}
    others = {"wider than 3:1": 0, "wide": 2, "about square": 2}
    assert shapes == {**others, "tall": 0, "taller than 1:3": 1}
    assert found["coco_sizes"] == {"small": 3, "medium": 1, "large": 1}


def test_sizes_after_resizing():
    found = split_statistics(BoxTable(made()), PIPELINE)["resized"]
    # A shorter side of 100 would make the longer one 200: 150 bounds it.
    assert found["scale"]["min"] == found["scale"]["max"] == 0.75
    assert found["bounded_by_max_side"] == 3
    assert found["box_size"]["50%"] == pytest.approx(22.5)


def test_resized_sides_are_width_and_height():
    table = BoxTable(made())
    pipeline = DataPipelineConfig(min_sides=(50,), max_side=500)
    assert table.resized_images(pipeline).tolist() == [[50, 100], [100, 50], [50, 100]]
    np.testing.assert_allclose(table.resized_sides(pipeline), table.sides / 2)
    assert table.where(3) == "c.jpg, box 1"
    assert table.single.tolist() == [True, True, False, True, True]


def test_bounds_belong_above():
    rows = histogram(np.array([0, 1, 1.5, 2, 9]), (1, 2), ("a", "b", "c"))
    assert [row["count"] for row in rows] == [1, 2, 2]
    assert [row["range"] for row in rows] == ["a", "b", "c"]


def test_a_real_file(clean_folder):
    content = json.loads(annotations(clean_folder).read_text())
    dataset = load_coco(clean_folder / "train", annotations(clean_folder))
    found = split_statistics(BoxTable(dataset))
    assert found["boxes"] == len(content["annotations"])
    for category, row in zip(content["categories"], found["classes"]):
        own = [a for a in content["annotations"] if a["category_id"] == category["id"]]
        assert (row["name"], row["boxes"]) == (category["name"], len(own))
        assert row["images"] == len({a["image_id"] for a in own})
    heights = [a["bbox"][3] for a in content["annotations"]]
    assert found["box_height"]["mean"] == pytest.approx(np.mean(heights), rel=1e-4)
