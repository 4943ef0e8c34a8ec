"""The COCO reader against boxes worked out by hand and against pycocotools on the same file."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from detection.data import DataError, load_coco
from tests.detection.data.helpers import some_boxes, write_coco, write_json

_SIZES = [(40, 60), (50, 30), (32, 32)]


def _load(folder, boxes, **options):
    images, annotations = write_coco(folder, _SIZES, lambda index: boxes.get(index, []))
    return load_coco(images, annotations, **options)


def test_boxes_and_categories_by_hand(tmp_path):
    dataset = _load(tmp_path, {0: [(7, [10, 5, 20, 30]), (3, [0.5, 1.5, 2, 4])]})
    # Sorted by id: 3 "a" is class 0, 7 "b" is class 1.
    assert [(category.id, category.name) for category in dataset.categories] == [(3, "a"), (7, "b")]
    example = dataset.read(0)
    np.testing.assert_array_equal(example["boxes"], [[10, 5, 30, 35], [0.5, 1.5, 2.5, 5.5]])
    assert example["classes"].tolist() == [1, 0]
    assert example["image_id"] == 1 and example["size"] == (40, 60)
    assert example["image"].shape == (40, 60, 3) and example["image"].dtype == np.uint8
    assert example["boxes"].dtype == np.float32 and example["classes"].dtype == np.int32
    assert dataset.read(2)["boxes"].shape == (0, 4)
    assert len(dataset) == 3 and len(dataset.problems) == 0


def test_equals_pycocotools(tmp_path):
    _load(tmp_path, {i: some_boxes(6, _SIZES[i], seed=i) for i in (0, 1)})
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["annotations"][2]["iscrowd"] = 1
    content["annotations"][3]["area"] = 12.5
    images, path = write_json(tmp_path, content)
    dataset = load_coco(images, path)
    for entry in content["annotations"]:
        entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
    write_json(tmp_path, content)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(str(path))
    ids = sorted(reference.getCatIds())
    assert [category.id for category in dataset.categories] == ids
    written = dataset.to_coco()
    for record in dataset.records:
        expected = reference.loadAnns(reference.getAnnIds(imgIds=[record.image_id]))
        bbox = np.array([entry["bbox"] for entry in expected]).reshape(-1, 4)
        np.testing.assert_allclose(record.boxes[:, :2], bbox[:, :2], atol=1e-5)
        widths = record.boxes[:, 2:] - record.boxes[:, :2]
        np.testing.assert_allclose(widths, bbox[:, 2:], atol=1e-5)
        assert [ids[c] for c in record.classes] == [entry["category_id"] for entry in expected]
        assert record.is_crowd.tolist() == [bool(entry["iscrowd"]) for entry in expected]
        np.testing.assert_allclose(record.areas, [entry["area"] for entry in expected], rtol=1e-5)
        again = [a for a in written["annotations"] if a["image_id"] == record.image_id]
        for ours, theirs in zip(again, expected, strict=True):
            np.testing.assert_allclose(ours["bbox"], theirs["bbox"], atol=1e-4)
            assert ours["category_id"] == theirs["category_id"]
            assert ours["iscrowd"] == theirs["iscrowd"]


def test_written_annotations_read_back_the_same(tmp_path):
    dataset = _load(tmp_path, {i: some_boxes(5, _SIZES[i], seed=i) for i in range(3)})
    images, path = write_json(tmp_path, dataset.to_coco())
    again = load_coco(images, path)
    for first, second in zip(dataset.records, again.records, strict=True):
        np.testing.assert_allclose(first.boxes, second.boxes, atol=1e-5)
        assert first.image_id == second.image_id
    assert again.categories == dataset.categories


@pytest.mark.parametrize(
    ("bbox", "kind", "left"),
    [
        ([5, 5, 0, 10], "zero_area", None),
        ([5, 5, 10, -1], "negative_size", None),
        ([float("nan"), 5, 10, 10], "not_finite", None),
        ([5, 5, float("inf"), 10], "not_finite", None),
        ([60, 5, 10, 10], "outside", None),
        ([-20, 5, 10, 10], "outside", None),
        ([-5, 30, 10, 20], "clipped", [0, 30, 5, 40]),
        ([1, 2, 3], "malformed_box", None),
        (None, "malformed_box", None),
        (["x", 2, 3, 4], "malformed_box", None),
    ],
)
def test_bad_boxes_are_counted_and_named(tmp_path, bbox, kind, left):
    dataset = _load(tmp_path, {0: [(3, [1, 2, 3, 4]), (7, bbox)]})
    assert dataset.problems.counts() == {kind: 1}
    ((where, detail),) = dataset.problems.of_kind(kind)
    assert "000001.jpg, image 1, annotation 2" in where
    assert str(bbox) in detail
    expected = [[1, 2, 4, 6]] + ([left] if left else [])
    np.testing.assert_array_equal(dataset.records[0].boxes, expected)
    assert where in dataset.summary()


def test_unknown_categories_and_images_are_counted(tmp_path):
    _, path = write_coco(tmp_path, _SIZES, lambda index: [(99, [1, 2, 3, 4])])
    content = json.loads(path.read_text())
    content["annotations"][1]["category_id"] = [3]
    content["annotations"][2].update(image_id=77)
    content["images"][2].pop("height")
    dataset = load_coco(*write_json(tmp_path, content))
    counts = dataset.problems.counts()
    assert counts == {"unknown_category": 2, "unknown_image": 1, "unknown_size": 1}
    assert "category id 99" in dataset.problems.summary()
    assert (dataset.records[2].height, dataset.records[2].width) == (32, 32)


def test_missing_images_are_refused_together(tmp_path):
    images, path = write_coco(tmp_path, [(20, 20)] * 14)
    for index in range(2, 14):
        (images / f"{index + 1:06d}.jpg").unlink()
    with pytest.raises(DataError) as caught:
        load_coco(images, path)
    message = str(caught.value)
    assert "12 found" in message and "max_bad_images" in message
    assert message.count("image id") == 10 and "and 2 more" in message
    dataset = load_coco(images, path, max_bad_images=12)
    assert len(dataset) == 2 and dataset.problems.counts() == {"missing_image": 12}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "needs the lists"),
        ('{"images": []}', "needs the lists"),
        ('{"images": [], "annotations": [], "categories": []}', "list of categories is empty"),
        (
            '{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
            r"images\[0\] needs",
        ),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', r"categories\[0\] needs"),
        (
            '{"images": [], "annotations": [], '
            '"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            "repeats the id 1",
        ),
    ],
)
def test_malformed_files_are_refused(tmp_path, text, message):
    path = tmp_path / "annotations.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load_coco(tmp_path, path)
    assert str(path) in str(caught.value)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Received: annotations_file=.*none\.json"):
        load_coco(tmp_path, tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match="Received: images_dir="):
        load_coco(tmp_path / "none", tmp_path / "none.json")
