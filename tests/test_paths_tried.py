"""Scripts given a path that is not there, or one that they cannot write, say what to do."""

import os

import pytest

from tests.keras_resnet.data.helpers import write_folder
from tests.test_scripts_classifier import call

EXPORT = "export_saved_model.py"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "pets", {"cat": 1})
    (tmp_path / "some.jpg").write_text("x")
    return tmp_path


# script, arguments, words of the message
MISSING = [
    ("train_classifier.py", ["finetune", "--set", "data.root=pets"], "pets/train/<class>/"),
    ("train_classifier.py", ["mine.yaml"], "There is no config file"),
    ("train_detector.py", ["mine.yaml"], "There is no config file"),
    ("predict.py", ["runs/x", "photo.jpg"], "There is no file or folder 'photo.jpg'"),
    ("predict.py", ["runs/x", "pets"], "holds no images"),
    ("evaluate_detector.py", ["runs/x"], "There is no model or run folder 'runs/x'"),
    ("evaluate_detector.py", ["pets"], "say with --config"),
    ("evaluate_classifier.py", ["--weights", "nope", "--data", "pets"], "no run folder"),
    ("classify.py", ["--weights", "nope", "some.jpg"], "no run folder"),
    ("classify.py", ["--weights", "nope", "no.jpg"], "There is no file or folder 'no.jpg'"),
    ("serving_client.py", ["photo.jpg", "--model", "x"], "photo.jpg is not there"),
    ("serving_client.py", ["pets", "--model", "x"], "pets is a folder; give its files"),
    ("serving_client.py", ["some.jpg", "--model", "x", "--facts", "f.json"], "f.json is not there"),
]


@pytest.mark.parametrize("script, arguments, words", MISSING)
def test_what_is_there_is_said(here, capsys, script, arguments, words):
    assert call(script, *arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and words in message
    (shown,) = [line for line in message.splitlines() if line.startswith("  In ")]
    folder, _, names = shown.removeprefix("  In ").partition(": ")
    assert [name.strip("/") for name in names.split(", ")] == sorted(os.listdir(folder))
    assert not (here / "runs").exists()


@pytest.mark.parametrize("name", ["q.pb", "q.h5", "q.keras", "out/q.torchscript", "q.ONNX"])
def test_formats_that_are_not_written(here, capsys, name):
    assert call(EXPORT, "runs/x", name) == 2
    message = capsys.readouterr().err
    assert ".onnx" in message and ".tflite" in message and "SavedModel" in message
    assert not (here / name).exists()


def test_a_folder_may_have_a_point_in_its_name(here, capsys):
    assert call(EXPORT, "runs/x", "served/shapes.v2") == 2
    assert "No saved detector at 'runs/x'" in capsys.readouterr().err
