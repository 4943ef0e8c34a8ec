"""The scripts, as a user runs them."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from PIL import Image

import detection
from tests.detection.coco_folder import tiny_settings, write_coco
from tests.detection.conftest import SCRIPTS, run_script


def test_evaluate(tiny_run, in_process, tmp_path):
    code, out, err = in_process(
        "evaluate_detector.py", tiny_run.folder, "--output", tmp_path / "figures"
    )
    assert (code, err) == (0, "")
    metrics = json.loads((tmp_path / "figures" / "metrics.json").read_text())
    expected = json.loads((tiny_run.folder / "metrics.json").read_text())
    for name in ("AP", "AP50", "AR100", "mAP07", "mAP_area"):
        assert metrics[name] == pytest.approx(expected[name], abs=0.01)
    rows = [line.split() for line in out.splitlines()]
    table = {row[0]: row[1:] for row in rows if row}
    assert table["AP50"][2] == f"{metrics['AP50']:.3f}"
    blue = next(row for row in metrics["per_class"] if row["name"] == "blue")
    assert table["blue"][:2] == [f"{blue['AP']:.3f}", f"{blue['AP50']:.3f}"]
    assert str(tmp_path / "figures" / "predictions.json") in out


def test_evaluate_on_other_data(tiny_run, in_process):
    code, out, _ = in_process(
        *("evaluate_detector.py", tiny_run.folder / "weights" / "last"),
        *("--config", tiny_run.config, "--split", "train"),
    )
    assert code == 0
    assert "16 images (1 without boxes), 26 boxes" in out


def test_predict(tiny_run, tmp_path):
    images = tiny_run.val / "images"
    other = tmp_path / "picture_202.bmp"
    Image.open(images / "picture_203.png").save(other)
    output = tmp_path / "drawn"
    arguments = (tiny_run.folder, images, other, "--output", output, "--score", "0.3")
    done = run_script("predict.py", *arguments)
    assert done.returncode == 0, done.stderr
    results = json.loads((output / "detections.json").read_text())
    assert list(results) == [
        *(str(images / f"picture_{i}.png") for i in range(201, 206)),
        str(other),
    ]
    assert results[str(other)] == results[str(images / "picture_203.png")]
    # Equal names from different folders do not overwrite each other.
    names = {f"picture_{i}.jpg" for i in range(201, 206)} | {"picture_202_2.jpg"}
    assert {path.name for path in output.glob("*.jpg")} == names
    predictions = json.loads((tiny_run.folder / "predictions.json").read_text())
    for image_id in range(201, 206):
        found = results[str(images / f"picture_{image_id}.png")]["detections"]
        scores = [p["score"] for p in predictions if p["image_id"] == image_id]
        strong = [score for score in scores if score >= 0.3]
        assert [row["score"] for row in found] == pytest.approx(strong, abs=1e-3)
        assert f"picture_{image_id}.png: " in done.stdout
    with Image.open(output / "picture_203.jpg") as drawn, Image.open(other) as original:
        assert drawn.size == original.size
        assert list(drawn.getdata()) != list(original.getdata())


def test_export(tiny_run, tmp_path):
    sample = tiny_run.val / "images" / "picture_203.png"
    output = tmp_path / "served"
    done = run_script("export_saved_model.py", tiny_run.folder, output, "--samples", sample)
    assert done.returncode == 0, done.stderr
    assert str(output / "1") in done.stdout
    assert (output / "1" / "saved_model.pb").is_file()
    facts = json.loads((output / "1" / "assets" / "detector.json").read_text())
    assert facts["class_names"] == ["red", "green", "blue"]
    assert facts["self_check"]["images"] == 1


def test_dry_run_prints_the_whole_configuration(in_process):
    code, out, _ = in_process(
        *("train_detector.py", "coco_r50_fpn_1x", "--dry-run", "--set", "train.steps=5"),
        *("data.format=tfds", "data.name=voc/2007", "data.download=true", "data.root=nowhere"),
        *("data.train={split: train}", "data.val={split: test}"),
    )
    assert code == 0 and "\n# the data are not downloaded yet" in out
    config = yaml.safe_load(out)
    assert config["train"]["steps"] == 5
    assert config["model"]["roi_heads"]["nms_threshold"] == 0.5  # a default


def test_dry_run_fails_as_the_run_would(in_process, tmp_path):
    for script, base, key in (
        ("train_detector.py", "bccd", "trainval"),
        ("train_classifier.py", "finetune", "no/pets"),
    ):
        own = {"extends": base, "data": {"root": "no/pets"}, "run": {"project": str(tmp_path)}}
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
        code, out, dry = in_process(script, tmp_path / "own.yaml", "--dry-run")
        assert code == 2 and key in str(yaml.safe_load(out)["data"])
        code, _, real = in_process(script, tmp_path / "own.yaml")
        assert code == 2 and dry == real and "no/pets" in dry


def test_dry_run_tells_sizes_and_writes_nothing(tiny_run, in_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("--epochs", "3", "--batch", "5", "--project", "elsewhere")
    code, out, _ = in_process("train_detector.py", tiny_run.config, "--dry-run", *arguments)
    assert code == 0 and not list(tmp_path.iterdir())
    assert yaml.safe_load(out)["run"]["project"] == "elsewhere"
    sizes = [line for line in out.splitlines() if line.startswith("# ")]
    # 16 images, the last of four batches filled up; squares of 96 pixels, at most 3 boxes each.
    assert "# steps: 4 an epoch, 12 in all, 3 epochs" in sizes
    assert any(
        "images [5, height, width, 3] of 96 x 96, uint8; boxes [5, 8, 4]" in s for s in sizes
    )
    parameters = detection.load(tiny_run.folder).count_params()
    assert any(f"3 classes, {parameters:,} parameters" in line for line in sizes)
    code, out, _ = in_process("train_detector.py", "--dry-run")
    assert code == 0 and "400 images" in out and not list(tmp_path.iterdir())


def test_predict_below_the_threshold_of_the_model(tiny_run, in_process, tmp_path):
    image = next((tiny_run.val / "images").iterdir())
    counts = []
    for words in (["--conf", "0.01"], ["--set", "conf=0.01"], ["--conf", "0.01", "--max-det", "3"]):
        arguments = ("predict.py", tiny_run.folder, image, "--output", tmp_path, *words)
        assert in_process(*arguments)[0] == 0
        found = json.loads((tmp_path / "detections.json").read_text())[str(image)]["detections"]
        counts.append(len(found))
    model = detection.load(tiny_run.folder, overrides=["roi_heads.score_threshold=0.01"])
    assert counts[:2] == [len(model.detect(str(image)))] * 2
    assert counts[2] == min(3, counts[0])


def test_bad_input_ends_with_one_message(tmp_path):
    done = run_script(
        *("train_detector.py", "--set", "data.format=coco", "data.root=null"),
        *(f"data.train.images={tmp_path}", f"data.train.annotations={tmp_path / 'nothing.json'}"),
    )
    assert done.returncode == 2
    first, *others = done.stderr.strip().splitlines()
    assert first.startswith("error: ") and str(tmp_path / "nothing.json") in first
    assert others[-1] == "(set DETECTION_TRACEBACK=1 to see where it was raised)"
    # Between them what was tried, and what is there.
    assert all(line.startswith("  ") for line in others[:-1])


@pytest.mark.parametrize(
    "script, arguments, message",
    [
        ("train_detector.py", ["--set", "train.stepz=3"], "did you mean train.steps?"),
        ("train_detector.py", ["--set", "train.steps=x"], "train.steps: "),
        ("train_detector.py", ["--set", "steps"], "must look like a.b.c=value"),
        ("train_detector.py", ["bcd"], "Did you mean 'bccd'?"),
        ("train_detector.py", ["TMP"], "TMP is a folder, not a configuration"),
        ("train_detector.py", ["bccd", "--set", "data.root=TMP/no"], "TMP/no"),
        ("evaluate_detector.py", ["TMP/run"], "There is no model or run folder 'TMP/run'"),
        ("evaluate_detector.py", ["TMP"], "say with --config"),
        ("evaluate_detector.py", ["TMP", "--config", "quickstart"], "No saved detector at 'TMP'"),
        ("predict.py", ["TMP", "TMP/a.jpg"], "There is no file or folder 'TMP/a.jpg'"),
        ("predict.py", ["TMP/run", "TMP"], "holds no images"),
        ("predict.py", ["TMP/run", "TMP/text.txt"], "No saved detector at 'TMP/run'"),
        ("export_saved_model.py", ["TMP/run", "TMP/out"], "No saved detector at 'TMP/run'"),
        ("export_saved_model.py", ["TMP/a.keras", "TMP/out"], "trust=True"),
    ],
)
def test_mistakes_are_one_message(in_process, tmp_path, script, arguments, message):
    (tmp_path / "text.txt").write_text("no picture")
    code, _, err = in_process(script, *(a.replace("TMP", str(tmp_path)) for a in arguments))
    assert code == 2
    assert err.startswith("error: ")
    assert message.replace("TMP", str(tmp_path)) in err
    assert "Traceback" not in err


def test_predict_names_the_file_that_is_no_image(tiny_run, in_process, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    output = tmp_path / "out"
    code, _, err = in_process("predict.py", tiny_run.folder, tmp_path, "--output", output)
    assert code == 2
    assert err.startswith("error: ") and str(tmp_path / "bad.png") in err


def test_names_of_files_do_not_command_the_terminal(tiny_run, in_process, tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    picture = next((tiny_run.val / "images").iterdir())
    for folder in (good, bad):
        folder.mkdir()
    Image.open(picture).save(good / "a\x1b]0;pwn\x07.png")
    (bad / "b\x1b]0;pwn\x07.jpg").write_text("no picture")
    for folder, name, expected in ((good, "a", 0), (bad, "b", 2)):
        code, out, err = in_process("predict.py", tiny_run.folder, folder, "--output", tmp_path)
        assert code == expected
        assert f"{name}\\x1b]0;pwn\\x07" in (err if expected else out)
        assert (out + err).replace("\n", "").isprintable()


WITHOUT_TENSORFLOW = """
import runpy, sys
for name in ("tensorflow", "tensorflow_datasets", "keras_cv"):
    sys.modules[name] = None  # importing it now raises ImportError
sys.path.insert(0, sys.argv[1])
name = sys.argv[2]
del sys.argv[:2]
runpy.run_path(f"{sys.path[0]}/{name}", run_name="__main__")
"""


def test_training_on_jax_without_tensorflow(tmp_path):
    train = write_coco(tmp_path / "train", 8)
    val = write_coco(tmp_path / "val", 3, seed=1, first_id=201)
    settings = tiny_settings(train, val, tmp_path / "runs")
    settings["train"].update(steps=3, evaluate_every=2)
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    backend = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    # Most of the time would go into XLA's optimizations of programs that run a few times.
    backend["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, SCRIPTS, "train_detector.py", config],
        env={**os.environ, **backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "\njax " in done.stdout
    assert "No SavedModel: it needs the TensorFlow backend" in done.stdout
    folder = tmp_path / "runs" / "tiny"
    rows = (folder / "results.csv").read_text().splitlines()
    assert len(rows) == 3
    assert 0 <= json.loads((folder / "metrics.json").read_text())["AP"] <= 1
    assert (folder / "weights" / "best" / "weights.safetensors").is_file()
