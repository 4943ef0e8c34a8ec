"""Refinement, voting and test-time augmentation from the command line, and the table of them."""

import json

import numpy as np
import pytest

import detection
from detection import ablation
from detection.ablation import table
from detection.evaluate import evaluate_model
from detection.multi_view import augmentation_of

TTA = "model.test_time={scales: [64, 96], flip: true}"


def test_evaluate_with_switches(tiny_run, in_process, tmp_path):
    changes = ("model.roi_heads.refinements=1", "model.roi_heads.voting_iou=0.5", TTA)
    code, out, err = in_process(
        *("evaluate_detector.py", tiny_run.folder, "--output", tmp_path / "figures"),
        *("--set", *changes),
    )
    assert (code, err) == (0, "")
    assert "every image in 4 views" in out
    metrics = json.loads((tmp_path / "figures" / "metrics.json").read_text())
    assert 0.2 < metrics["AP50"] <= 1
    # The same as by hand, image by image.
    model = detection.load(
        tiny_run.folder, overrides=[change.removeprefix("model.") for change in changes]
    )
    results = json.loads((tmp_path / "figures" / "predictions.json").read_text())
    for image_id in (202, 203):
        rows = [row for row in results if row["image_id"] == image_id]
        found = model.detect(tiny_run.val / "images" / f"picture_{image_id}.png")
        assert [row["category_id"] for row in rows] == found.category_ids
        np.testing.assert_allclose([row["score"] for row in rows], found.scores, atol=1e-3)
        corners = np.array([row["bbox"] for row in rows])[:, :2]
        np.testing.assert_allclose(corners, found.boxes[:, :2], atol=0.1)


def test_predict_with_switches(tiny_run, in_process, tmp_path):
    image = tiny_run.val / "images" / "picture_203.png"
    arguments = ("predict.py", tiny_run.folder, image, "--output", tmp_path, "--score", "0.1")
    code, _, err = in_process(*arguments, "--set", "model.test_time.flip=true")
    assert (code, err) == (0, "")
    written = json.loads((tmp_path / "detections.json").read_text())[str(image)]["detections"]
    model = detection.load(tiny_run.folder, overrides=["test_time.flip=true"])
    found = model.detect(image, score_threshold=0.1)
    assert len(found) > 0
    assert [row["score"] for row in written] == pytest.approx(found.scores, abs=1e-3)


@pytest.mark.parametrize(
    "script, change, message",
    [
        ("predict.py", "data.val.split=x", "Only keys under model. can be changed here"),
        ("predict.py", "model.roi_heads.refine=1", "did you mean roi_heads.refinements"),
        ("evaluate_detector.py", "model.roi_heads.context=true", "predictor/classifier/kernel"),
        ("export_saved_model.py", "model.test_time.flip=true", "test_time=null"),
    ],
)
def test_changes_that_cannot_be_made(tiny_run, in_process, tmp_path, script, change, message):
    more = () if script == "evaluate_detector.py" else (tiny_run.val / "images",)
    more = (tmp_path / "served",) if script == "export_saved_model.py" else more
    code, _, err = in_process(script, tiny_run.folder, *more, "--set", change)
    assert code == 2 and message in err and "Traceback" not in err


@pytest.mark.slow
def test_ablation_of_trained_models(tiny_run, in_process, tmp_path):
    """With one model in both places, context adds nothing; the baseline is `evaluate`'s."""
    target = tmp_path / "table.md"
    code, out, _ = in_process(
        *("ablate_detector.py", tiny_run.config, "--output", target),
        *("--runs", tiny_run.folder, tiny_run.folder),
    )
    assert code == 0 and target.read_text() in out
    lines = target.read_text().splitlines()
    assert lines[0] == "| | AP@.5 | AP@[.5, .95] | AP@.75 | evaluation, s |"
    rows = [[cell.strip() for cell in line.split("|")[1:-2]] for line in lines[2:]]
    names = ["baseline", "+ box refinement", "+ context", "+ multi-scale testing"]
    assert [row[0] for row in rows] == names
    assert rows[1][1:] == rows[2][1:] != rows[0][1:]
    last = tiny_run.folder / "weights" / "last"
    model = detection.load(last, overrides=["roi_heads.nms_threshold=0.3"])
    metrics = evaluate_model(model, detection.load_config(tiny_run.config), say=lambda line: None)
    assert rows[0][1:3] == [f"{100 * metrics[name]:.1f}" for name in ("AP50", "AP")]


def test_ablation_trains_with_and_without_context(tiny_run, monkeypatch):
    trained, evaluated = [], []

    def train(config, say):
        trained.append(config)
        return tiny_run.folder, {}

    def evaluate(model, config, say):
        evaluated.append(model)
        return {"AP50": 0.5, "AP": 0.3, "AP75": 0.2}

    monkeypatch.setattr(ablation, "train_detector", train)
    monkeypatch.setattr(ablation, "evaluate_model", evaluate)
    rows = ablation.ablate(detection.load_config(tiny_run.config), say=lambda line: None)
    assert [row["AP"] for row in rows] == [0.3] * 4
    assert [c.model.roi_heads.context for c in trained] == [False, True]
    assert [c.run.name for c in trained] == ["tiny_baseline", "tiny_context"]
    heads = [model.roi_heads for model in evaluated]
    assert [h.refinements for h in heads] == [0, 1, 1, 1]
    assert [h.selection.voting_iou for h in heads] == [None, 0.5, 0.5, 0.5]
    assert {h.selection.nms_threshold for h in heads} == {0.3}
    assert [augmentation_of(model) for model in evaluated[:3]] == [None] * 3
    # The paper's 200 to 1000 are to its 600 as these are to 96.
    last = augmentation_of(evaluated[3])
    assert (last.scales, last.merge, last.flip) == ((32, 64, 96, 128, 160), "features", False)


def test_table():
    row = {"name": "+ context", "AP50": 0.511, "AP": 0.3, "AP75": 0.305, "seconds": 2.5}
    assert table([row]).splitlines()[2] == "| + context | 51.1 | 30.0 | 30.5 | 2.5 |"
