"""Every annotation file of the tables in `bad_annotations.py`."""

import json
import re
import socket

import numpy as np
import pytest

from detection.data import DataError, load_coco, load_voc
from tests.detection.data.bad_annotations import COCO, GOOD, SIZE, VOC, text_of, whole
from tests.detection.data.bad_annotations import rows as annotation_rows
from tests.detection.data.bad_images import rows as image_rows
from tests.detection.data.helpers import write_image

IMAGE_KINDS = {"missing_image", "outside_folder", "malformed_annotation", "missing_annotation"}


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in ("1.jpg", "2.jpg"):
        write_image(folder / name, SIZE)
    return folder


def check(dataset, case, first):
    """The second image is always sound; the first keeps `case.boxes` boxes or is left out."""
    assert [len(record.boxes) for record in dataset.records][-1] == 1
    if case.outcome in IMAGE_KINDS:
        assert len(dataset) == 1 and dataset.records[0].image_id != first
    else:
        assert len(dataset) == 2 and len(dataset.records[0].boxes) == case.boxes
    counts = dataset.problems.counts()
    assert set(counts) == (set() if case.outcome == "accepted" else {case.outcome})
    for record in dataset.records:
        assert (record.height, record.width) == SIZE
        assert np.isfinite(record.boxes).all() and np.isfinite(record.areas).all()
        assert (record.boxes[:, 2:] > record.boxes[:, :2]).all() and (record.areas > 0).all()
    summary = dataset.summary()
    assert summary.replace("\n", "").isprintable() and summary.encode()
    json.dumps(dataset.to_coco(), allow_nan=False)


@pytest.mark.parametrize("case", COCO, ids=[case.what for case in COCO])
def test_coco(tmp_path, images, case):
    path = tmp_path / "annotations.json"
    path.write_bytes(as_bytes(text_of(case)))
    if case.outcome == "refused":
        with pytest.raises(DataError, match=case.detail) as caught:
            load_coco(images, path)
        assert "annotations" in str(caught.value) and len(str(caught.value)) < 2000
        return
    if case.outcome in IMAGE_KINDS:
        with pytest.raises(DataError, match="1 found, 0 allowed"):
            load_coco(images, path)
    dataset = load_coco(images, path, max_bad_images=1)
    if case.boxes == 0:  # Nothing of the second image remains either.
        assert [len(record.boxes) for record in dataset.records] == [0, 0]
        assert set(dataset.problems.counts()) == {case.outcome} - {"accepted"}
        return
    check(dataset, case, first=1)


def test_crowds_are_marked(tmp_path, images):
    (case,) = (case for case in COCO if case.what == "crowd only")
    (tmp_path / "annotations.json").write_text(text_of(case))
    dataset = load_coco(images, tmp_path / "annotations.json")
    assert [record.is_crowd.tolist() for record in dataset.records] == [[True], [False]]


def write_voc(folder, images, case):
    for name in ("Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    (folder / "JPEGImages").symlink_to(images)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("1\n2\n")
    (folder / "Annotations" / "2.xml").write_text(whole(GOOD))
    if case.xml is not None:
        (folder / "Annotations" / "1.xml").write_bytes(as_bytes(case.xml))


@pytest.mark.parametrize("case", VOC, ids=[case.what for case in VOC])
def test_voc(tmp_path, images, case, monkeypatch):
    def refused(*arguments, **options):
        raise AssertionError("the network is used")

    monkeypatch.setattr(socket, "socket", refused)
    write_voc(tmp_path, images, case)
    if case.outcome in IMAGE_KINDS:
        with pytest.raises(DataError, match=r"(?s)1 found, 0 allowed.*1\.xml"):
            load_voc(tmp_path, "train", classes=("cat",))
    for classes in (("cat",), None):
        dataset = load_voc(tmp_path, "train", classes=classes, max_bad_images=1)
        if classes or case.outcome != "unknown_category":
            check(dataset, case, first="1")
        assert "root:" not in dataset.summary()  # As in the file that an entity names.


def test_the_tables_are_as_long_as_promised():
    rows = [*image_rows(), *annotation_rows()]
    assert len(rows) >= 100 and len({row[:2] for row in rows}) == len(rows)
    assert not [row for row in rows if re.search(r"[|\n]", "".join(row))]


@pytest.mark.slow
def test_a_million_boxes(tmp_path, images):
    path = tmp_path / "annotations.json"
    content = json.loads(text_of(next(case for case in COCO if case.outcome == "accepted"))[3:])
    entry = content["annotations"][0]
    bad = {**entry, "bbox": [1, 2, 3]}
    content["annotations"] = [bad if i % 1000 == 0 else entry for i in range(1_000_000)]
    path.write_text(json.dumps(content))
    dataset = load_coco(images, path)
    assert len(dataset.records[0].boxes) == 999_000
    assert dataset.problems.counts() == {"malformed_box": 1000}
