"""scripts/convert_data.py, as a user runs it."""

import json

import numpy as np
import pytest

from detection.data import load_coco
from tests.detection.data.helpers import voc_object, write_voc
from tests.detection.data.test_csv import write
from tests.detection.data.test_foreign_names import CVAT, write_export
from tests.detection.data.test_yolo import write_yolo


@pytest.fixture
def convert(in_process):
    return lambda *arguments: in_process("convert_data.py", *arguments)


def test_yolo(tmp_path, convert):
    root = write_yolo(tmp_path / "set", {"a": "1 0.5 0.5 0.5 0.5", "b": None})
    files = sorted(root.rglob("*"))
    code, out, err = convert("yolo", root, "--out", tmp_path / "a.json")
    assert (code, err) == (0, "")
    assert "2 images (1 without boxes), 1 boxes, 2 classes" in out and "b.jpg" in out
    assert f"data.train.annotations={tmp_path / 'a.json'}" in out
    assert sorted(root.rglob("*")) == files
    dataset = load_coco(root / "images" / "train", tmp_path / "a.json")
    np.testing.assert_allclose(dataset.records[0].boxes, [[20, 10, 60, 30]], atol=1e-5)


def test_other_formats(tmp_path, convert):
    voc = write_voc(tmp_path / "voc", {"x": voc_object("a", (2, 2, 9, 9))})
    table = write(voc / "JPEGImages", "x.jpg,1,1,9,9,a\n")
    listed = write(tmp_path, "b\na\n", "classes.txt")
    images, result = write_export(
        tmp_path / "cvat", CVAT % ("x/a.jpg", "b.jpg"), ("a.jpg", "b.jpg")
    )
    commands = [
        ("voc", voc, "--split", "train", "--classes", "b", "a"),
        ("csv", table, "--classes-file", listed),
        ("coco", result, "--images", images),
    ]
    for command in commands:
        code, _, err = convert(*command, "--out", tmp_path / f"{command[0]}.json")
        assert (code, err) == (0, "")
    for name in ("voc", "csv"):
        content = json.loads((tmp_path / f"{name}.json").read_text())
        assert [entry["name"] for entry in content["categories"]] == ["b", "a"]
        assert [entry["bbox"] for entry in content["annotations"]] == [[1, 1, 8, 8]]
    content = json.loads((tmp_path / "coco.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.jpg"]


def test_an_existing_file_is_kept(tmp_path, convert):
    root = write_yolo(tmp_path / "set", {"a": "1 0.5 0.5 0.5 0.5"})
    out = write(tmp_path, "precious", "a.json")
    code, _, err = convert("yolo", root, "--out", out)
    assert code == 2 and "--overwrite" in err and out.read_text() == "precious"
    assert convert("yolo", root, "--out", out, "--overwrite")[0] == 0
    assert json.loads(out.read_text())["images"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["jolo", "x"], "invalid choice: 'jolo'"),
        (["coco", "x"], "coco needs --images"),
        (["voc", "x"], "voc needs --split"),
        (["yolo", "x", "--images", "x"], "--images is not used by yolo"),
        (["coco", "x", "--images", "x", "--split", "train"], "--split is not used by coco"),
        (["voc", "x", "--split", "a", "--classes-file", "x"], "--classes-file is not used by voc"),
        (["csv", "x", "--classes", "a", "--classes-file", "x"], "exclude each other"),
        (["yolo", "/no/such"], "Tried: /no/such"),
        (["csv", "/no/such.csv"], "Tried: /no/such.csv"),
        (
            ["tfds", "voc/2012", "--split", "train", "--data-dir", "/no/such"],
            "download by --download, or name the folder that holds it by --data-dir.",
        ),
        (["csv", "x", "--download"], "--download is not used by csv"),
    ],
)
def test_wrong_usage(tmp_path, convert, arguments, words):
    code, _, err = convert(*arguments, "--out", tmp_path / "a.json")
    assert code == 2 and words in err and not list(tmp_path.iterdir())
    code, _, err = convert(*arguments, "--out", tmp_path / "no" / "a.json")
    assert code == 2


def test_help_names_exit_codes(convert):
    code, out, _ = convert("--help")
    assert code == 0
    assert "Example: python scripts/convert_data.py yolo" in out and "exit codes:" in out
