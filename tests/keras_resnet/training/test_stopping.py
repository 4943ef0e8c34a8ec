"""SIGINT and SIGTERM end a run between two steps, with everything saved."""

import os
import re
import signal
import threading

import keras
import pytest

from keras_resnet.training.stopping import TrainingStopped, stop_on_signals
from tests.keras_resnet.training.test_loop import Recorder, assert_same, build, train, values
from tests.test_scripts_classifier import call


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


class Send(keras.callbacks.Callback):
    """Sends a signal to this process within a step."""

    def __init__(self, number, step):
        super().__init__()
        self.number, self.left = number, step

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


# Within an epoch, at the end of one, in the last epoch, which is shorter, and at the end of all.
@pytest.mark.parametrize("step", [1, 6, 8, 9, 10])
def test_a_stopped_run_ends_as_one_that_was_not(tmp_path, step):
    number = signal.SIGTERM if step % 2 else signal.SIGINT
    whole, cut = build(), build()
    seen, after = Recorder(), Recorder()

    def evaluate(epoch):
        return {"val_x": float(epoch)}

    expected = train(tmp_path / "whole", whole, callbacks=[seen], evaluate=evaluate)
    before = handlers()
    with pytest.raises(TrainingStopped, match=f"{number.name} after step {step} of 10") as caught:
        train(
            tmp_path / "cut",
            callbacks=[Send(number, step)],
            evaluate=evaluate,
            stop_by_signals=True,
        )
    assert caught.value.signal == number
    assert handlers() == before
    lines = []
    found = train(
        tmp_path / "cut",
        cut,
        callbacks=[after],
        evaluate=evaluate,
        resume=True,
        say=lines.append,
        stop_by_signals=True,
    )
    assert lines == [f"continuing {tmp_path / 'cut'} after step {step} of 10"]
    assert after.seen == seen.seen[step:]
    assert {k: v for k, v in found.items() if "time" not in k} == {
        k: v for k, v in expected.items() if "time" not in k
    }
    assert_same(values(cut), values(whole))


def test_a_signal_in_an_evaluation_lets_it_end(tmp_path):
    evaluated = []

    def evaluate(epoch):
        os.kill(os.getpid(), signal.SIGTERM)
        evaluated.append(epoch)
        return {"val_x": 1.0}

    with pytest.raises(TrainingStopped, match="after step 4 of 10"):
        train(tmp_path, evaluate=evaluate, stop_by_signals=True)
    assert evaluated == [0]


def test_nothing_is_changed_unless_asked_for_and_in_threads(tmp_path):
    seen = []

    class See(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(handlers())

    before = handlers()
    train(tmp_path / "a", steps=1, callbacks=[See()])
    options = {"steps": 1, "callbacks": [See()], "stop_by_signals": True}
    thread = threading.Thread(target=train, args=(tmp_path / "b",), kwargs=options)
    thread.start()
    thread.join()
    assert seen == [before, before]
    train(tmp_path / "c", **options)
    assert seen[2] != before and handlers() == before


@pytest.mark.parametrize("first, second", [("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT")])
def test_the_second_signal_ends_the_process_at_once(first, second):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.Signals[first])
            if stop.signal == signal.Signals[first]:
                os.kill(os.getpid(), signal.Signals[second])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.Signals[second]


@pytest.mark.parametrize("script", ["train_classifier.py", "train_detector.py"])
def test_help_tells_the_exit_codes(capsys, script):
    assert call(script, "--help") == 0
    out = capsys.readouterr().out
    codes = re.findall(r"^  (\d+) ", out, re.M)
    assert codes == ["0", "1", "2", "3", "130", "143"]
    assert "--resume auto" in out
