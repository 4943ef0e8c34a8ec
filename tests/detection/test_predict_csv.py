"""The table of detections that scripts/predict.py writes."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import detection
from detection.saving import save_model
from tests.detection.small_model import rectangles, small_model


def test_a_row_for_each_detection(in_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(small_model(), tmp_path / "model")
    pictures = rectangles(2, seed=0)[0]["images"]
    # A spreadsheet would take the first path for a formula, and the second has a comma.
    for name, pixels in zip(("=1+1.png", "a,b.png"), pictures):
        Image.fromarray(np.asarray(pixels)).save(name)
    arguments = ("=1+1.png", "a,b.png", "--output", "out", "--conf", "0.01")
    code, out, err = in_process("predict.py", "model", *arguments)
    assert code == 0, err
    assert "detections.csv" in out

    with open("out/detections.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "x1", "y1", "x2", "y2", "class", "score"]
    model = detection.load("model", overrides=["roi_heads.score_threshold=0.01"])
    for name, cell in (("=1+1.png", "'=1+1.png"), ("a,b.png", "a,b.png")):
        found = model.detect(name, score_threshold=0.01)
        own = [row for row in rows if row["path"] == cell]
        assert len(found) and [row["class"] for row in own] == list(found.names)
        boxes = [[float(row[side]) for side in ("x1", "y1", "x2", "y2")] for row in own]
        np.testing.assert_allclose(boxes, found.boxes, atol=0.01)
        assert [float(row["score"]) for row in own] == pytest.approx(found.scores, abs=1e-4)
    assert len(rows) == sum(
        len(found["detections"])
        for found in json.loads((tmp_path / "out" / "detections.json").read_text()).values()
    )


def test_nothing_found_is_a_table_without_rows(in_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(small_model(), tmp_path / "model")
    Image.new("RGB", (64, 64)).save("a.png")
    (tmp_path / "b.png").write_text("no image")
    code, _, err = in_process("predict.py", "model", "a.png", "b.png", "--conf", "1")
    assert code == 2 and "1 of 2 images could not be read" in err
    table = (tmp_path / "predictions" / "detections.csv").read_text()
    assert table.splitlines() == ["path,x1,y1,x2,y2,class,score"]


def test_nothing_is_written_over(in_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(small_model(), tmp_path / "model")
    Image.new("RGB", (64, 64)).save("a.png")
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "detections.csv").write_text("mine")
    given = ([], ["--project", "x", "--name", "y"], ["--set", "project=x", "name=y"])
    for words, folder in zip(given, ("predictions2", "x/y", "x/y2")):
        code, out, err = in_process("predict.py", "model", "a.png", *words)
        assert (code, err) == (0, "")
        assert f"{folder}/detections.csv" in out and (tmp_path / folder / "a.jpg").is_file()
    assert (tmp_path / "predictions" / "detections.csv").read_text() == "mine"
    code, _, err = in_process("predict.py", "model", "a.png", "--exist-ok")
    assert code == 2 and "--output FOLDER writes into that very folder" in err
    code, _, err = in_process("predict.py", "model", "a.png", "--output", "x", "--name", "y")
    assert code == 2 and "exclude each other" in err
    code, _, err = in_process("predict.py", "model", "a.png", "--name", "y/z")
    assert code == 2 and "Received: name='y/z'" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("a.png", "model", "predictions", "predictions2", "x")
    ]
