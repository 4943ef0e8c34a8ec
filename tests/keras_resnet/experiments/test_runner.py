"""Small experiments, trained: what is written, skipped, continued and refused."""

import csv
import json

import keras
import numpy as np
import pytest

from keras_resnet.classification.model import load_classifier
from keras_resnet.experiments import runner
from keras_resnet.experiments.grid import Run, make_grid
from keras_resnet.experiments.runner import plan, reproduce
from keras_resnet.experiments.settings import Settings
from keras_resnet.training.locks import held
from tests.keras_resnet.experiments.helpers import write_images

SETTINGS = Settings(steps=8, batch=16, overrides=("model.options.width=4",))
STATES = "train.state_every=2"
PLAIN, RESIDUAL = Run("plain", 8, None, 0), Run("residual", 8, "zero_pad", 0)


def silent(line):
    pass


def table(folder):
    with (folder / "runs.csv").open() as stream:
        return list(csv.DictReader(stream))


def result(folder, run):
    return json.loads((folder / "runs" / run.name / "result.json").read_text())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "images.npz")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("runs") / "experiment"
    lines = []
    reproduce([PLAIN, RESIDUAL], SETTINGS, data, folder, say=lines.append)
    return folder, lines


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("it trains")

    monkeypatch.setattr(runner, "train_classifier", refuse)


def test_everything_is_written(trained):
    folder, lines = trained
    names = ["table.md", "table.csv", "runs.csv", "curves.png", "responses.png", "gradients.png"]
    assert all((folder / name).is_file() for name in names)
    rows = table(folder)
    assert [(r["kind"], r["depth"], r["status"]) for r in rows] == [
        ("plain", "8", "finished"),
        ("residual", "8", "finished"),
    ]
    for row, run in zip(rows, (PLAIN, RESIDUAL)):
        metrics = json.loads((folder / "runs" / run.name / "metrics.json").read_text())
        assert float(row["test_error"]) == pytest.approx(1 - metrics["accuracy"], abs=1e-9)
    assert any(line.startswith(f"[2/2] {RESIDUAL.name}: 8 steps") for line in lines)


def test_training_error_is_that_of_the_plain_images(trained, data):
    folder, _ = trained
    model = load_classifier(folder / "runs" / RESIDUAL.name / "weights" / "last")
    with np.load(data) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
    wrong = np.argmax(model.predict(images, verbose=0), axis=1) != labels
    assert result(folder, RESIDUAL)["final_train_error"] == pytest.approx(wrong.mean(), abs=1e-9)


def test_curve_has_the_figures_of_every_epoch(trained):
    folder, _ = trained
    found = result(folder, PLAIN)
    # Six steps see the 96 images once; the second epoch is cut short.
    assert found["curve"]["steps"] == [6, 8]
    with (folder / "runs" / PLAIN.name / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for key, name in (("train_error", "train/accuracy"), ("test_error", "val/accuracy")):
        expected = [1 - float(row[name]) for row in rows]
        assert found["curve"][key] == pytest.approx(expected, abs=1e-9)


def test_parameters_and_layers_are_counted(trained):
    folder, _ = trained
    found = result(folder, PLAIN)
    # Kernels of a stem and six layers of 4, 8 and 16 channels, two numbers a channel, the head.
    kernels = 9 * (3 * 4 + 2 * 4 * 4 + 4 * 8 + 8 * 8 + 8 * 16 + 16 * 16)
    assert found["parameters"] == kernels + 2 * (3 * 4 + 2 * 8 + 2 * 16) + 16 * 10 + 10
    assert len(found["gradients_start"]["kernels"]) == len(found["gradients_end"]["kernels"]) == 8
    assert len(found["responses"]["stds"]) == 7
    # Ten classes by chance.
    assert 1.5 < found["gradients_start"]["loss"] < 8


def test_finished_runs_are_skipped(trained, data, no_training):
    folder, _ = trained
    before = (folder / "table.md").read_text()
    lines = []
    reproduce([PLAIN, RESIDUAL], SETTINGS, data, folder, say=lines.append)
    assert lines[:2] == [
        f"[1/2] {PLAIN.name}: finished before",
        f"[2/2] {RESIDUAL.name}: finished before",
    ]
    assert (folder / "table.md").read_text() == before
    assert [state for _, _, state in plan([PLAIN, Run("plain", 8, None, 1)], SETTINGS, folder)] == [
        "finished",
        "to do",
    ]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"steps": 9}, r"train\.steps was 8, is 9"),
        ({"init": "xavier"}, r"model\.initializer was 'he_fan_in', is 'xavier'"),
        ({"overrides": ()}, r"options\.width was 4, is absent"),
    ],
)
def test_other_settings_are_refused(trained, data, no_training, settings, message):
    folder, _ = trained
    changed = Settings(**{**vars(SETTINGS), **settings})
    with pytest.raises(ValueError, match=message):
        reproduce([PLAIN], changed, data, folder, say=silent)


def test_settings_that_came_later_have_their_defaults(trained, data, no_training):
    folder, _ = trained
    path = folder / "experiment.json"
    text = path.read_text()
    stored = json.loads(text)
    del stored["config"]["train"]["nesterov"], stored["config"]["data"]["pipeline"]["hue"]
    path.write_text(json.dumps(stored))
    reproduce([PLAIN], SETTINGS, data, folder, say=silent)
    stored["config"]["train"]["nesterov"] = True
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=r"train\.nesterov was True, is False"):
        reproduce([PLAIN], SETTINGS, data, folder, say=silent)
    path.write_text(text)


def test_other_images_are_refused(trained, tmp_path, no_training):
    folder, _ = trained
    other = write_images(tmp_path / "other.npz", seed=1)
    with pytest.raises(ValueError, match=r"images\.sha256"):
        reproduce([PLAIN], SETTINGS, other, folder, say=silent)


def test_other_folders_are_left_alone(tmp_path, data, no_training):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="something else than an experiment"):
        reproduce([PLAIN], SETTINGS, data, tmp_path, say=silent)


def test_missing_images_are_named(tmp_path, no_training):
    with pytest.raises(ValueError, match=r"no/such\.npz"):
        reproduce([PLAIN], SETTINGS, "no/such.npz", tmp_path / "a", say=silent)
    assert not (tmp_path / "a").exists()


def test_a_run_that_another_process_has_is_left_to_it(trained, data, no_training, monkeypatch):
    folder, _ = trained
    run = Run("plain", 8, None, 7)
    lines = []
    with held(folder / "runs" / f".{run.name}.lock") as mine:
        assert mine
        reproduce([run], SETTINGS, data, folder, say=lines.append)
    assert lines[0] == f"[1/1] {run.name}: another process is at it"
    with held(folder / "runs" / f".{run.name}.lock") as mine:
        assert mine


def test_an_interrupted_run_continues_to_the_same_result(trained, data, tmp_path, monkeypatch):
    folder, _ = trained

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    original = runner.train_classifier
    settings = Settings(**{**vars(SETTINGS), "overrides": (*SETTINGS.overrides, STATES)})
    with monkeypatch.context() as patch:
        patch.setattr(runner, "train_classifier", lambda c, say: original(c, say, [Interrupt()]))
        with pytest.raises(KeyboardInterrupt):
            reproduce([RESIDUAL], settings, data, tmp_path / "b", say=silent)
    assert [state for _, _, state in plan([RESIDUAL], settings, tmp_path / "b")] == ["interrupted"]
    lines = []
    reproduce([RESIDUAL], settings, data, tmp_path / "b", say=lines.append)
    assert any("after step 2 of 8" in line for line in lines)
    found, expected = result(tmp_path / "b", RESIDUAL), result(folder, RESIDUAL)
    for key in ("test_error", "test_loss", "final_train_loss", "curve", "gradients_end"):
        assert found[key] == expected[key], key


def test_a_run_that_diverges_is_a_row_and_the_next_begins(data, tmp_path):
    settings = Settings(**{**vars(SETTINGS), "learning_rate": 1e30})
    runs = make_grid(["plain"], [8], [], [0, 1])
    lines = []
    reproduce(runs, settings, data, tmp_path / "c", say=lines.append)
    rows = table(tmp_path / "c")
    assert [r["status"] for r in rows] == ["diverged"] * 2
    steps = [int(r["diverged_at"]) for r in rows]
    assert all(1 <= step <= 8 for step in steps)
    text = (tmp_path / "c" / "table.md").read_text()
    assert f"diverged at step {steps[0]}, {steps[1]}" in text
    assert f"{runs[0].name}: diverged at step {steps[0]}" in lines
