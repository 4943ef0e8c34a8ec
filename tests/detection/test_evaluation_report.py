import contextlib
import io
import json
import math

import numpy as np
import pytest
from pycocotools.coco import COCO

from detection.evaluation.coco import evaluate_coco
from detection.evaluation.report import evaluate, summary_table, write_metrics, write_results
from detection.evaluation.voc import evaluate_voc
from tests.detection.evaluation_cases import random_case


def test_evaluate_joins_coco_and_voc():
    truth, results = random_case()
    metrics = evaluate(truth, results)
    coco, voc = evaluate_coco(truth, results), evaluate_voc(truth, results)
    assert {key: metrics[key] for key in coco if key != "per_class"} == {
        key: value for key, value in coco.items() if key != "per_class"
    }
    assert (metrics["mAP07"], metrics["mAP_area"]) == (voc["mAP07"], voc["mAP_area"])
    row, own, other = metrics["per_class"][1], coco["per_class"][1], voc["per_class"][1]
    assert (row["name"], row["AP"], row["AP50"]) == ("class 18", own["AP"], own["AP50"])
    assert (row["AP07"], row["AP_area"]) == (other["AP07"], other["AP_area"])
    assert metrics["num_images"] == 12
    assert metrics["num_objects"] == sum(not row["iscrowd"] for row in truth["annotations"])
    assert metrics["num_detections"] == len(results)
    assert "pr_curves" not in metrics
    assert evaluate(truth, results, curves=True)["pr_curves"]["recall"][-1] == 1.0


def test_table_shows_every_figure_in_80_columns():
    truth, results = random_case()
    truth["categories"][0]["name"] = "a name that is much too long for a narrow terminal"
    metrics = evaluate(truth, results)
    text = summary_table(metrics)
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    for key, value in metrics.items():
        if isinstance(value, float):
            assert (f"{value:.3f}" if value >= 0 else "-") in words, key
    row = metrics["per_class"][1]
    expected = [f"{row[key]:.3f}" for key in ("AP", "AP50", "AP07", "AP_area")]
    (line,) = [line for line in text.splitlines() if line.startswith("class 18")]
    assert line.split()[2:] == [*expected, str(row["num_objects"])]
    (line,) = [line for line in text.splitlines() if line.startswith("class 90")]
    assert line.split()[2:] == ["-", "-", "-", "-", "0"]
    assert "-1.0" not in text


def test_table_without_anything():
    text = summary_table(evaluate({"images": [], "annotations": [], "categories": []}, []))
    assert text.startswith("0 images, 0 objects, 0 detections")


def test_metrics_file_is_strict_json(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    metrics = {
        "AP": np.float32(0.5),
        "loss": float("nan"),
        "list": [math.inf, np.int64(3)],
        "array": np.array([1.5, np.nan]),
        "nested": {"name": "Tür", 3: None},
        "pr_curves": {"recall": [0.0]},
    }
    write_metrics(path, metrics)

    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert read == {
        "AP": 0.5,
        "loss": None,
        "list": [None, 3],
        "array": [1.5, None],
        "nested": {"name": "Tür", "3": None},
    }
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    write_metrics(path, {"AP": 0.5})
    with pytest.raises(TypeError):
        write_metrics(path, {"AP": object()})
    assert json.loads(path.read_text()) == {"AP": 0.5}
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


def test_results_file_is_read_by_pycocotools(tmp_path):
    truth, results = random_case()
    path = tmp_path / "predictions.json"
    write_results(path, results)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        loaded = coco.loadRes(str(path))
    assert len(loaded.anns) == len(results)
    assert evaluate(truth, json.loads(path.read_text())) == evaluate(truth, results)


def test_results_file_with_numpy_numbers_and_none(tmp_path):
    row = {"image_id": np.int64(1), "category_id": np.int32(2), "bbox": np.arange(4.0)}
    write_results(tmp_path / "a.json", [row | {"score": np.float32(0.5)}])
    expected = [{"image_id": 1, "category_id": 2, "bbox": [0.0, 1.0, 2.0, 3.0], "score": 0.5}]
    assert json.loads((tmp_path / "a.json").read_text()) == expected
    write_results(tmp_path / "b.json", [])
    assert json.loads((tmp_path / "b.json").read_text()) == []
    with pytest.raises(ValueError, match="must be finite"):
        write_results(tmp_path / "c.json", [row | {"score": float("nan")}])
    assert not (tmp_path / "c.json").exists()
