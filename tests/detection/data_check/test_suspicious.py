"""Suspicious boxes, images and classes, in cases made by hand."""

import numpy as np
import pytest

from detection.data import Category, DataPipelineConfig, DetectionDataset, Record
from detection.data_check.suspicious import (
    find_boxes,
    find_classes,
    find_copies,
    find_repeated_boxes,
)
from detection.data_check.table import BoxTable


def dataset_of(rows, classes=None, names=("cat", "dog"), crowd=None, size=(100, 200)):
    classes = [0] * len(rows) if classes is None else classes
    record = Record("a.jpg", 1, *size, rows, classes, crowd)
    return DetectionDataset("made", [Category(i, n) for i, n in enumerate(names)], [record])


def boxes_found(rows, pipeline=None, **options):
    table = BoxTable(dataset_of(rows, **options))
    return [(f.kind, *f.boxes) for f in find_boxes("train", table, pipeline)]


def test_whole_images():
    whole, nearly, wide = [0, 0, 200, 100], [1, 0.5, 199.5, 100], [0, 0, 200, 90]
    assert boxes_found([whole, nearly, wide]) == [("whole_image", 0), ("whole_image", 1)]
    assert boxes_found([whole], crowd=[True]) == []


def test_extreme_shapes_and_tiny_boxes():
    long, tall, just = [0, 0, 110, 10], [0, 0, 8, 81], [0, 0, 100, 10]
    assert boxes_found([long, tall, just]) == [("extreme_aspect", 0), ("extreme_aspect", 1)]
    half = DataPipelineConfig(min_sides=(50,), max_side=100)
    rows = [[0, 0, 7.9, 30], [0, 0, 8, 30], [0, 0, 120, 6]]
    assert boxes_found(rows) == [("extreme_aspect", 2)]
    # A slip of the mouse is not called a strange shape as well.
    assert boxes_found(rows, half) == [("tiny_box", 0), ("tiny_box", 2)]


def repeated(rows, **options):
    table = BoxTable(dataset_of(rows, **options))
    return [(f.kind, *f.boxes) for f in find_repeated_boxes("train", table)]


def test_repeated_boxes():
    box, moved, other = [10, 10, 110, 60], [11, 10, 111, 60], [20, 10, 120, 60]
    assert repeated([box, moved, other]) == [("duplicate_box", 1, 0)]  # IoU 0.98 and 0.82
    assert repeated([box, other, box, box]) == [("duplicate_box", 2, 0), ("duplicate_box", 3, 0)]
    assert repeated([box, box], classes=[0, 1]) == [("two_classes", 1, 0)]
    assert repeated([box, box], crowd=[True, False]) == []


def test_many_boxes_against_a_loop():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 6, (700, 2)).astype("float32")
    rows = np.concatenate([first, first + rng.integers(40, 45, (700, 2))], axis=1)
    classes = rng.integers(0, 2, 700).tolist()
    expected = []
    for i, a in enumerate(rows):
        for j, b in enumerate(rows[:i]):
            sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
            shared = float(np.maximum(sides, 0).prod())
            union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
            if shared / union >= 0.95:
                kind = "duplicate_box" if classes[i] == classes[j] else "two_classes"
                expected.append((kind, i, j))
                break
    assert len(expected) > 300
    assert repeated(rows, classes=classes) == expected


@pytest.fixture
def files(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(content)
        return Record(str(tmp_path / name), name, 10, 10, [], [])

    return write


def copies(**splits):
    datasets = {
        split: DetectionDataset(split, [Category(1, "cat")], records)
        for split, records in splits.items()
    }
    return [
        (f.kind, f.split, f.where.split("/")[-1], f.detail.split("/")[-1])
        for f in find_copies(datasets)
    ]


def test_copies(files):
    a, b, c = files("a", b"1234"), files("b", b"1234"), files("c", b"1235")
    d, e = files("d", b"12345"), files("e", b"1234")
    assert copies(train=[a, c, d]) == []
    assert copies(train=[a, b, c]) == [("repeated_image", "train", "b", "a")]
    assert copies(train=[a, c], val=[d, e]) == [("same_image_in_splits", "val", "e", "a")]
    # A copy inside a split is told once for that split.
    assert copies(train=[a, b], val=[e]) == [
        ("repeated_image", "train", "b", "a"),
        ("same_image_in_splits", "val", "e", "a"),
    ]


def test_copies_inside_of_archives(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(b"--1234--1234--123x--")
    ranges = {"p": (2, 4), "q": (8, 4), "r": (14, 4)}
    p, q, r = (Record(str(path), n, 9, 9, [], [], byte_range=v) for n, v in ranges.items())
    assert copies(train=[p, r]) == []
    assert copies(train=[p], val=[q, r]) == [
        ("same_image_in_splits", "val", "shard, image q", "shard, image p")
    ]


def test_a_file_that_is_gone_is_no_copy(files, tmp_path):
    a, b = files("a", b"1234"), files("b", b"1234")
    (tmp_path / "a").unlink()
    assert copies(train=[a, b]) == []


def classes_found(train, val, train_names=("cat", "dog", "cow"), val_names=("cat", "dog", "cow")):
    def table(classes, names):
        rows = [[i, 0, i + 20, 20] for i in range(len(classes))]
        return BoxTable(dataset_of(rows, classes, names))

    tables = {"train": table(train, train_names), "val": table(val, val_names)}
    return [(f.kind, f.split, f.where) for f in find_classes(tables)]


def test_classes_without_boxes():
    assert classes_found([0, 1, 2], [0, 1, 2]) == []
    assert classes_found([0, 1], [0, 1, 2]) == [("class_only_in_val", "val", "cow")]
    assert classes_found([0, 1], [0, 1]) == [("class_without_boxes", "train", "cow")]
    assert classes_found([0, 1, 2], [0, 1]) == [("class_not_in_val", "train", "cow")]
    # One message is enough where a whole split is empty.
    assert classes_found([0, 1, 2], []) == [("no_boxes", "val", "made")]
    assert classes_found([], [0]) == [("no_boxes", "train", "made")]


def test_names_of_classes():
    found = classes_found([0, 1, 2], [0, 1, 2], val_names=("dog", "cat", "cow"))
    assert found == [("different_classes", "val", "made")]
    names = ("traffic light", "Traffic_Light", "cow")
    found = classes_found([0, 1, 2], [0, 1, 2], names, names)
    assert found == [("similar_class_names", "train", "traffic light")]
    names = ("+", "-", "cow")  # Nothing but punctuation: not alike.
    assert classes_found([0, 1, 2], [0, 1, 2], names, names) == []
