"""Progress, results.csv, divergence, checkpoints and TensorBoard during real and staged runs."""

import csv
import io
import json
import pathlib
import re
import sys

import keras
import numpy as np
import pytest

from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.divergence import NaNStop, TrainingDiverged
from keras_resnet.training.optimizer import SGD
from keras_resnet.training.progress import ProgressLogger, duration
from keras_resnet.training.results import CSVResults, read_results
from keras_resnet.training.schedules import WarmupStep
from keras_resnet.training.tensorboard import tensorboard_callback
from tests.keras_resnet.training.test_loop import train

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = X.sum(1, keepdims=True)
LOGS = {
    "loss": 1.23456,
    "rpn_objectness_loss": 0.5,
    "rpn_box_loss": 0.25,
    "classification_loss": 0.4,
    "box_loss": 0.0845,
}


def compiled(rate=0.1):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(SGD(rate), "mse")
    return model


def fit(model, callbacks, **options):
    options = {"epochs": 3, "batch_size": 4, "shuffle": False, **options}
    return model.fit(X, Y, verbose=0, callbacks=callbacks, **options)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def staged(stream, steps=100, epochs=2, seconds_per_step=1.0, **options):
    """Runs a logger through `epochs` of identical steps on a clock of its own."""
    clock = Clock()
    logger = ProgressLogger(stream=stream, clock=clock, **{"memory": None, **options})
    logger.set_model(compiled(WarmupStep(0.1, (50,))))
    logger.set_params({"epochs": epochs, "steps": steps})
    logger.on_train_begin()
    for epoch in range(epochs):
        logger.on_epoch_begin(epoch)
        for step in range(steps):
            clock.now += seconds_per_step
            logger.on_train_batch_end(step, LOGS)
        clock.now += 50  # validation
        logger.on_epoch_end(epoch, {**LOGS, "val_loss": 2.0})
    return stream.getvalue()


def test_plain_lines():
    text = staged(io.StringIO(), images_per_step=8, every_seconds=30)
    assert max(map(len, text.splitlines())) <= 80
    blocks = re.split(r"\n(?! )", text.strip())
    # At 30, 60 and 90 seconds and at the end, twice.
    assert len(blocks) == 8
    words = [" ".join(block.split()) for block in blocks]
    figures = "loss 1.235 rpn_objectness 0.5 rpn_box 0.25 classification 0.4 box 0.0845"
    # 170 steps remain at one second each; the length of a validation is not yet known.
    assert words[0] == (f"epoch 1/2 step 30/100 8 images/s 2 min 50 s left lr 0.1 {figures}")
    assert words[1] == (f"epoch 1/2 step 60/100 8 images/s 2 min 20 s left lr 0.01 {figures}")
    assert words[3] == (
        f"epoch 1/2 took 2 min 30 s 8 images/s 1 min 40 s left lr 0.01 {figures} val_loss 2"
    )
    assert words[4].startswith("epoch 2/2 step 30/100 8 images/s 1 min 10 s left")


def test_time_left_counts_the_validations_to_come():
    text = staged(io.StringIO(), epochs=3, every_seconds=99)
    (line,) = [x for x in text.splitlines() if x.startswith("epoch 2/3 step 99/100")]
    assert "2 min 31 s left" in line  # 101 steps and one validation of 50 s


def test_a_run_may_end_within_an_epoch():
    clock, stream = Clock(), Terminal()
    logger = ProgressLogger(stream=stream, clock=clock)
    logger.set_model(compiled(WarmupStep(0.1, (50,))))
    logger.set_params({"epochs": 2, "steps": 10, "total_steps": 14})
    logger.on_train_begin()
    logger.on_epoch_begin(1)
    for step in range(4):
        clock.now += 1
        logger.on_train_batch_end(step, LOGS)
    bars = [part for part in stream.getvalue().split("\r") if part.startswith("epoch 2/2 ")]
    for done, bar in enumerate(bars[1:], 2):
        assert bar.startswith(f"epoch 2/2 {done}/4 [{'=' * (10 * done // 4):10}]")
        assert f" 0:0{4 - done} left " in bar
    assert len(bars) == 4


def test_what_an_evaluation_prints_has_a_line_of_its_own(tmp_path, capsys):
    stream = Terminal()

    class Note(keras.callbacks.Callback):
        noted = 0

        def on_evaluation_begin(self):
            self.noted += 1

    def evaluate(epoch):
        stream.write("evaluated 4 images in 0.1 s: AP 0.5\n")
        return {"val_AP": 0.5}

    note = Note()
    train(
        tmp_path,
        callbacks=[ProgressLogger(stream=stream), note],
        evaluate=evaluate,
        evaluate_every=2,
    )
    assert note.noted == 2  # after the second epoch and after the last, the third
    text = stream.getvalue()
    before = re.findall(r"\r([^\r\n]*)\revaluated 4 images", text)
    assert [part.strip() for part in before] == ["epoch 2/3 evaluating", "epoch 3/3 evaluating"]


def test_terminal_bar_stays_on_one_line():
    text = staged(Terminal(), images_per_step=8)
    bars = [part for part in text.split("\r") if re.match(r"epoch 1/2 \d", part)]
    assert len(bars) == 100
    assert {len(b) for b in bars} == {79}
    assert bars[-1].startswith("epoch 1/2 100/100 [==========]  loss 1.235  8 img/s")
    # Nothing ends the line but the summaries of the two epochs.
    assert re.findall(r"(epoch \d/2 took)[^\r]*\n", text) == ["epoch 1/2 took", "epoch 2/2 took"]
    assert "\n" not in text[: text.index("took")]


def test_bar_is_drawn_at_most_five_times_a_second():
    text = staged(Terminal(), steps=100, epochs=1, seconds_per_step=0.01)
    assert text.count("/100 ") <= 5


def test_share_of_time_waiting_for_data():
    # Asked after the first step and at the end, 99 s later.
    waited = iter([10.0, 59.5])
    text = staged(io.StringIO(), epochs=1, every_seconds=1000, waiting_seconds=waited.__next__)
    assert "data 50%" in text


def test_terminal_line_has_time_waiting_rate_and_memory():
    options = {"waiting_seconds": Clock(), "memory": lambda: 1.26e9, "images_per_step": 8}
    text = staged(Terminal(), steps=2000, epochs=9, seconds_per_step=0.25, **options)
    line = next(part for part in text.split("\r") if part.startswith("epoch 1/9 1990/2000"))
    # By hand: 16,010 steps of a quarter of a second are left, 4002.5 s.
    assert line == (
        "epoch 1/9 1990/2000 [======= ] loss 1.235 32 img/s 1:06:42 left lr 0.01 data 0%"
    )


def test_terminal_line_of_a_detector(monkeypatch):
    # As the loop gives them: by the alphabet.
    logs = {"box_loss": 0.2587, "classification_loss": 0.61, "loss": 1.4052, "rpn_box_loss": 0.1}
    monkeypatch.setattr(sys.modules[__name__], "LOGS", {**logs, "rpn_objectness_loss": 0.4})
    options = {"memory": lambda: 2.3e9, "images_per_step": 16, "waiting_seconds": Clock()}
    text = staged(Terminal(), steps=50, epochs=1, seconds_per_step=0.384, **options)
    drawn = [part for part in text.split("\r") if re.match(r"epoch 1/1 \d", part)]
    assert {len(part) for part in drawn} == {79}
    for part in drawn:
        assert re.match(r"epoch 1/1 \d+/50 \[[= ]{6,10}\] +loss 1\.405 ", part), part
        assert " box 0.2587" not in part or part.index(" loss ") < part.index(" box ")
    # 16 images in 0.384 s; 20 steps of 0.384 s are left.
    items = " ".join(drawn[29].split("]")[1].split())
    assert items == "loss 1.405 41.7 img/s 0:08 left lr 0.1 data 0% 2.3G"
    assert "[====     ]" in drawn[24]  # half of the steps, in 9 columns


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_terminal_line_fits_any_width(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = staged(Terminal(), images_per_step=8, memory=lambda: 2e9)
    drawn = [part for part in text.split("\r") if "took" not in part]
    assert {len(part) for part in drawn[1:]} == {min(columns, 80) - 1}


def test_quiet_and_labels():
    assert staged(io.StringIO(), quiet=True) == ""
    text = staged(io.StringIO(), labels={"rpn_objectness_loss": "obj"})
    assert "obj 0.5" in text and "objectness" not in text


def test_progress_in_a_real_run(capsys):
    fit(compiled(), [ProgressLogger(images_per_step=4, every_seconds=0)], validation_data=(X, Y))
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("epoch 3/3 step ") for line in lines) == 3
    assert sum(" took " in line for line in lines) == 3
    assert any("val" in line for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    "seconds, text", [(0.4, "0 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_results_csv(tmp_path):
    class Evaluation(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                logs["metrics/mAP50"] = 0.75

    path = tmp_path / "run" / "results.csv"
    model = compiled(WarmupStep(0.1, (5,)))
    columns = {"val_loss": "val/total"}
    history = fit(model, [Evaluation(), CSVResults(path, columns)], validation_data=(X, Y)).history
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["epoch", "time", "lr", "train/loss", "val/total", "metrics/mAP50"]
    assert [r["epoch"] for r in rows] == ["1", "2", "3"]
    # Three steps an epoch, ten times less from step 5, which is the last of the second.
    assert [r["lr"] for r in rows] == ["0.1", "0.01", "0.01"]
    assert [r["metrics/mAP50"] for r in rows] == ["", "0.75", ""]
    np.testing.assert_allclose([float(r["train/loss"]) for r in rows], history["loss"], rtol=1e-5)
    np.testing.assert_allclose(
        [float(r["val/total"]) for r in rows], history["val_loss"], rtol=1e-5
    )
    assert [p.name for p in path.parent.iterdir()] == ["results.csv"]


def test_results_of_a_continued_run_hold_each_epoch_once(tmp_path):
    path = tmp_path / "results.csv"
    fit(compiled(), [CSVResults(path)], epochs=4)
    before = read_results(path)
    fit(compiled(), [CSVResults(path)], initial_epoch=2, epochs=3)
    after = read_results(path)
    assert [r["epoch"] for r in after] == ["1", "2", "3"]
    assert after[:2] == before[:2]
    assert float(after[2]["time"]) >= float(after[1]["time"])


def test_nan_stops_at_the_step(tmp_path):
    bad = Y.copy()
    bad[5] = np.nan  # in the second batch of four
    saved = []
    callbacks = [
        NaNStop(lambda epoch, step: f"image ids {list(range(4 * step, 4 * step + 4))}"),
        Checkpoints(tmp_path, saved.append, "loss", "min"),
    ]
    with pytest.raises(TrainingDiverged) as error:
        compiled().fit(X, bad, batch_size=4, shuffle=False, verbose=0, callbacks=callbacks)
    assert str(error.value).startswith(
        "Training diverged in epoch 1, step 2: loss is nan. Batch: image ids [4, 5, 6, 7]."
    )
    assert (error.value.epoch, error.value.step) == (0, 1)
    assert saved == []


def test_the_broken_part_is_named_and_metrics_may_be_nan():
    stop = NaNStop()
    stop.on_epoch_begin(6)
    stop.on_train_batch_end(0, {**LOGS, "accuracy": float("nan")})
    with pytest.raises(TrainingDiverged, match=r"epoch 7, step 12: rpn_box_loss is inf\. The"):
        stop.on_train_batch_end(11, {**LOGS, "rpn_box_loss": float("inf")})


class Saver:
    def __init__(self):
        self.calls = []

    def __call__(self, path, *arguments):
        self.calls.append((pathlib.Path(path).name, *arguments))


def run_checkpoints(folder, figures, first=0, mode="max", before=None):
    saver = Saver()
    callback = Checkpoints(folder, saver, "ap", mode)
    if before is not None:
        callback.set_run_state(json.loads(json.dumps(before)))
    callback.on_train_begin()
    for epoch, figure in enumerate(figures, first):
        logs = {"loss": 1.0} if figure is None else {"loss": 1.0, "ap": figure}
        saver.calls.append(epoch)
        callback.on_epoch_end(epoch, logs)
    return saver.calls, callback


def test_checkpoints_best_and_last(tmp_path):
    calls, callback = run_checkpoints(tmp_path, [None, 0.5, 0.5, float("nan"), 0.7])
    last, best = ("last",), ("best",)
    assert calls == [*(0, last), *(1, best, last), *(2, last), *(3, last), *(4, best, last)]
    assert (callback.best, callback.best_epoch) == (0.7, 5)
    assert json.loads((tmp_path / "checkpoints.json").read_text())["best"] == 0.7


def test_a_continued_run_keeps_the_better_best(tmp_path):
    _, callback = run_checkpoints(tmp_path, [0.6])
    calls, _ = run_checkpoints(tmp_path, [0.5, 0.61], first=1, before=callback.get_run_state())
    assert [c for c in calls if c == ("best",)] == [("best",)]
    assert calls.index(("best",)) > calls.index(2)


def test_best_of_another_figure_does_not_count(tmp_path):
    _, callback = run_checkpoints(tmp_path, [0.6])
    other = {**callback.get_run_state(), "monitor": "accuracy"}
    calls, callback = run_checkpoints(tmp_path, [0.5], first=1, before=other)
    assert calls.count(("best",)) == 1 and callback.best == 0.5


def test_a_new_run_does_not_compare_with_an_old_best(tmp_path):
    run_checkpoints(tmp_path, [0.6])
    calls, callback = run_checkpoints(tmp_path, [0.5])
    assert calls.count(("best",)) == 1 and callback.best == 0.5


def test_lower_is_better_with_min(tmp_path):
    calls, callback = run_checkpoints(tmp_path, [3.0, 4.0, 2.0], mode="min")
    assert calls.count(("best",)) == 2
    assert callback.best == 2.0


def test_broken_epoch_is_not_saved(tmp_path):
    saver = Saver()
    callback = Checkpoints(tmp_path, saver, "ap")
    callback.on_train_begin()
    callback.on_epoch_end(0, {"loss": float("nan"), "ap": 0.9})
    assert saver.calls == []
    with pytest.raises(ValueError, match="Received: mode='up'"):
        Checkpoints(tmp_path, saver, "ap", "up")


def test_checkpoint_files_of_a_real_run_hold_the_weights_of_their_epoch(tmp_path):
    model, seen = compiled(), []

    class Record(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_weights()[0])

    def save(path):
        np.save(f"{path}.npy", model.get_weights()[0])

    losses = fit(model, [Record(), Checkpoints(tmp_path, save, "loss", "min")]).history["loss"]
    np.testing.assert_array_equal(np.load(tmp_path / "last.npy"), seen[-1])
    np.testing.assert_array_equal(np.load(tmp_path / "best.npy"), seen[int(np.argmin(losses))])


def test_tensorboard_writes_events(tmp_path):
    callback, note = tensorboard_callback(tmp_path)
    assert note is None
    fit(compiled(), [callback], epochs=1)
    assert list(tmp_path.rglob("events.out.tfevents.*"))


@pytest.mark.parametrize("name", ["tensorflow", "tensorboard"])
def test_tensorboard_note(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    callback, note = tensorboard_callback(tmp_path)
    assert callback is None
    assert note == f"No TensorBoard logs: {name} not installed."
