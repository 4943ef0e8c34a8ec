"""The check before training: bounded in what it reads, said in 80 columns, and not in the way."""

import numpy as np
import pytest

import detection
from detection.data.dataset import Category, DetectionDataset, Record
from detection.data_check import check_data, suspicious


@pytest.fixture
def datasets(tmp_path):
    """300 and 40 images of one length; each tenth box of `train` is a repeated one."""
    made = {}
    for split, count in (("train", 300), ("val", 40)):
        records = []
        for number in range(count):
            path = tmp_path / f"{split}_{number:03d}.png"
            path.write_bytes(f"{number % 250:08d}{split:5}".encode())
            boxes = [[10, 10, 50, 50]] * (2 if number % 10 == 0 else 1)
            records.append(Record(str(path), number, 120, 160, boxes, [number % 2] * len(boxes)))
        made[split] = DetectionDataset(split, [Category(1, "a"), Category(2, "b")], records)
    return made


@pytest.fixture
def read(monkeypatch):
    paths = []
    original = suspicious.read_bytes

    def counted(path, byte_range):
        paths.append(path)
        return original(path, byte_range)

    monkeypatch.setattr(suspicious, "read_bytes", counted)
    return paths


def test_few_images_are_looked_at_one_by_one(datasets, read):
    config = detection.load_config("quickstart")
    found = check_data(datasets, config, most_images=30)
    assert len(read) <= 60 and len(set(read)) == len(read)
    assert found.looked_at == {"train": 30, "val": 30}
    # Counts are those of all; the fit of the anchors is that of 30 images: each tenth one.
    assert found.statistics["train"]["images"] == 300
    assert found.statistics["train"]["boxes"] == 330
    assert found.coverage["train"]["boxes"] == 60
    (repeated,) = [p for p in found.problems if p.kind == "duplicate_box"]
    places = [f.image for f in repeated.findings if f.split == "train"]
    assert places == list(range(0, 300, 10))
    assert "in 30 of the 300 images of train" in " ".join(found.remarks().split())


def test_all_are_looked_at_where_they_are_few(datasets, read):
    found = check_data(datasets, most_images=300)
    assert found.looked_at == {}
    assert len(read) == 340
    (copies,) = [p for p in found.problems if p.kind == "repeated_image"]
    assert len(copies.findings) == 50  # of 300 images 250 differ


def test_remarks_fit_80_columns_and_leave_counts_and_notes_out(datasets):
    datasets["val"].records[3].boxes = np.zeros((0, 4), "float32")
    for name in ("classes", "is_crowd", "difficult", "areas"):
        record = datasets["val"].records[3]
        setattr(record, name, getattr(record, name)[:0])
    found = check_data(datasets, detection.load_config("quickstart"))
    lines = found.remarks().splitlines()
    assert max(map(len, lines)) <= 80
    assert "image_without_boxes" in found.summary()
    assert not any(line.startswith(("note", "train ", "val ")) for line in lines)
    assert any(line.startswith("warning: duplicate_box") for line in lines)
