"""Several data sets as one."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from detection.config import DataConfig
from detection.data import DataError, join_datasets, load_coco, load_voc
from detection.datasets import open_dataset
from detection.evaluation import evaluate
from tests.detection.data.helpers import some_boxes, voc_object, write_coco, write_voc

_BOXES = {"dog": (1, 1, 30, 20), "cat": (11, 6, 50, 40)}


def voc_years(folder, first=("000005", "000007"), second=("2008_000002",)):
    """Two years of VOC, each image with an easy dog and a difficult cat."""
    both = voc_object("dog", _BOXES["dog"]) + voc_object("cat", _BOXES["cat"], difficult=1)
    for year, names in (("VOC2007", first), ("VOC2012", second)):
        write_voc(folder / year, dict.fromkeys(names, both), split="trainval")
    write_voc(folder / "VOC2007", {"000001": both}, split="test")
    return {
        "format": "voc",
        "root": str(folder / "VOC2007"),
        "train": [{"split": "trainval"}, {"root": str(folder / "VOC2012"), "split": "trainval"}],
        "val": {"split": "test"},
    }


def test_two_years_of_voc_keep_their_ids(tmp_path):
    config = DataConfig(**voc_years(tmp_path))
    train = open_dataset(config, "train")
    assert [r.image_id for r in train.records] == ["000005", "000007", "2008_000002"]
    assert train.name == "VOC2007_trainval+VOC2012_trainval"
    assert train.class_names[:2] == ("aeroplane", "bicycle") and len(train.categories) == 20
    for record in train.records:
        assert [train.class_names[i] for i in record.classes] == ["dog", "cat"]
        np.testing.assert_array_equal(record.boxes, [[0, 0, 30, 20], [10, 5, 50, 40]])
        assert record.difficult.tolist() == [False, True]
    assert [r.image_id for r in open_dataset(config, "val").records] == ["000001"]


def test_difficult_objects_can_be_left_out_of_training_only(tmp_path):
    config = DataConfig(**voc_years(tmp_path), keep_difficult=False)
    for record in open_dataset(config, "train").records:
        np.testing.assert_array_equal(record.boxes, [[0, 0, 30, 20]])
    val = open_dataset(config, "val")
    assert val.records[0].difficult.tolist() == [False, True]
    dog, cat = (val.categories[i].id for i in val.records[0].classes)
    # The dog is found. A cat that is found is neither right nor wrong.
    found = [
        {"image_id": "000001", "category_id": dog, "bbox": [0, 0, 30, 20], "score": 0.5},
        {"image_id": "000001", "category_id": cat, "bbox": [10, 5, 40, 35], "score": 0.9},
    ]
    metrics = evaluate(val.to_coco(), found)
    figures = {row["name"]: row["AP07"] for row in metrics["per_class"]}
    assert figures["dog"] == pytest.approx(1) and metrics["mAP07"] == pytest.approx(1)
    assert figures["cat"] == -1


def test_equal_ids_get_the_name_of_their_part(tmp_path):
    boxes = {part: some_boxes(2, (60, 90), seed) for seed, part in enumerate("ab")}
    paths = [
        write_coco(tmp_path / part, [(60, 90)] * 2, lambda _, p=part: boxes[p]) for part in boxes
    ]
    parts = [load_coco(*path) for path in paths]
    joined = join_datasets(parts)
    ids = [record.image_id for record in joined.records]
    assert ids == [f"annotations-{n}/{i}" for n in (1, 2) for i in (1, 2)]
    assert [r.image_id for r in parts[0].records] == [1, 2]
    assert join_datasets(parts[:1]) is parts[0]

    content = joined.to_coco()
    truth = COCO()
    truth.dataset = json.loads(json.dumps(content))
    truth.createIndex()
    for image_id, part in zip(ids, "aabb"):
        found = [a["bbox"] for a in truth.imgToAnns[image_id]]
        np.testing.assert_allclose(found, [bbox for _, bbox in boxes[part]], rtol=1e-5)
    results = [
        {"score": 0.9, **{k: a[k] for k in ("image_id", "category_id", "bbox")}}
        for a in content["annotations"]
    ]
    assert evaluate(content, results)["AP"] == pytest.approx(1)


def test_parts_that_do_not_fit_are_refused(tmp_path):
    def part(name, categories):
        return load_coco(*write_coco(tmp_path / name, [(60, 90)], categories=categories), name=name)

    first = part("first", [{"id": 3, "name": "a"}, {"id": 7, "name": "b"}])
    renamed = part("renamed", [{"id": 3, "name": "b"}, {"id": 7, "name": "a"}])
    renumbered = part("renumbered", [{"id": 3, "name": "a"}, {"id": 8, "name": "b"}])
    with pytest.raises(DataError, match=r"first has a \(3\), b \(7\); renamed has b \(3\), a"):
        join_datasets([first, renamed])
    with pytest.raises(DataError, match=r"renumbered has a \(3\), b \(8\)"):
        join_datasets([first, renumbered])
    folder = tmp_path / "first"
    again = load_coco(folder / "images", folder / "annotations.json", name="again")
    with pytest.raises(DataError, match=r"000001\.jpg is in two parts, first and again"):
        join_datasets([first, again])


def test_problems_of_all_parts_are_counted(tmp_path):
    bad = voc_object("dog", (5, 5, 5, 9))
    parts = [
        load_voc(write_voc(tmp_path / year, {year: bad}), "train", classes=("dog",))
        for year in ("a", "b")
    ]
    assert join_datasets(parts).problems.counts() == {"zero_area": 2}
    assert all(part.problems.counts() == {"zero_area": 1} for part in parts)


def test_a_missing_key_is_named_with_its_place(tmp_path):
    settings = voc_years(tmp_path)
    settings["train"][1].pop("split")
    with pytest.raises(ValueError, match=r"--set data\.train\.1\.split="):
        open_dataset(DataConfig(**settings), "train")
