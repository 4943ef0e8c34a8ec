"""Processes that train together do what one does, and end together."""

import csv
import json
import signal
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy

from keras_resnet.training import processes
from keras_resnet.training.devices import data_parallel, refuse_several_workers
from tests.keras_resnet.training.together import ROOT, outcome, start

SECONDS = 600

# One of the processes ends, or stops to answer, after some steps.
PROGRAM = """
import os, signal, sys
import keras
sys.path.insert(0, sys.argv[1])
from _common import run
from keras_resnet.classification.config import load_classifier_config
from keras_resnet.classification.train import train_classifier
from keras_resnet.training.processes import join_processes, process_index

class End(keras.callbacks.Callback):
    steps = 0
    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == 5 and process_index() == int(sys.argv[2]):
            os.kill(os.getpid(), getattr(signal, sys.argv[3]))

def main():
    assert join_processes(heartbeat_seconds=8)
    config = load_classifier_config(sys.argv[4], sys.argv[6:])
    train_classifier(config, callbacks=[End()], stop_by_signals=True)

run(main)
"""


def settings(folder, name, **more):
    """The arguments of a run of 7 steps in 3 epochs."""
    values = {
        "data.format": "npz",
        "data.root": folder / "images.npz",
        "data.pipeline.batch_size": 8,
        "train.reference_batch": 8,
        "train.evaluation_batch": 4,
        "train.steps": 7,
        "train.state_every": 2,
        "train.learning_rate": 0.01,
        "train.ema": "{decay: 0.5}",
        "model.options.stage_blocks": "[1,1,1]",
        "model.options.width": 4,
        "run.project": folder,
        "run.name": name,
        **more,
    }
    return ["cifar10_resnet20", "--set", *(f"{key}={value}" for key, value in values.items())]


def write_images(folder):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 26), ("test", 7)):
        labels = np.arange(count) % 10
        noise = rng.integers(0, 100, (count, 32, 32, 3))
        arrays[f"x_{split}"] = (noise + 15 * labels[:, None, None, None]).astype("uint8")
        arrays[f"y_{split}"] = labels
    np.savez(folder / "images.npz", **arrays)


def figures(folder):
    with (folder / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: float(v) for k, v in row.items() if v and "time" not in k} for row in rows]


def weights(folder):
    """The weights trained, the average that is saved and the optimizer's state."""
    found = {}
    for path in sorted((folder / "weights").glob("*/*.safetensors")):
        if path.parent.name in ("state", "last"):
            arrays = safetensors.numpy.load(path.read_bytes())
            found |= {f"{path.relative_to(folder)}/{key}": v for key, v in arrays.items()}
    return found


def check_equal(found, expected):
    assert [row["epoch"] for row in figures(expected)] == [1, 2, 3]
    for row, other in zip(figures(found), figures(expected), strict=True):
        assert row == pytest.approx(other, rel=1e-5, abs=1e-7)
    own, others = weights(found), weights(expected)
    assert own.keys() == others.keys() and len(own) > 50
    for name, value in own.items():
        np.testing.assert_allclose(value, others[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_two_processes_with_two_devices_equal_one(tmp_path):
    write_images(tmp_path)
    together = settings(tmp_path, "two", **{"train.devices": "all"})
    flags = "--xla_force_host_platform_device_count=2"
    two = start("train_classifier.py", 2, *together, XLA_FLAGS=flags)
    one = start("train_classifier.py", 1, *settings(tmp_path, "one"))
    ends = outcome([*two, *one], SECONDS)
    assert [code for code, _, _ in ends] == [0, 0, 0], ends
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.npz", "one", "two"]
    main, other, alone = (out for _, out, _ in ends)
    # Such lines are the communication library's own.
    assert all(line.startswith("[Gloo]") for line in other.splitlines())
    assert "in each of 2 processes" in main and "in each of" not in alone
    assert main.splitlines()[-1] == f"run         {tmp_path / 'two'}"
    folders = tmp_path / "one", tmp_path / "two"
    files = [{str(path.relative_to(f)) for path in f.rglob("*")} for f in folders]
    assert files[0] == files[1]
    check_equal(tmp_path / "two", tmp_path / "one")
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
    for name in ("accuracy", "loss", "best_accuracy", "train_loss"):
        assert metrics[1][name] == pytest.approx(metrics[0][name], rel=1e-5)
    pages = [(folder / "report.html").read_text() for folder in folders]
    classes = [page.partition("<h2>Classes")[2].partition("<h2>Images")[0] for page in pages]
    assert classes[0] == classes[1] and 'class="count">1<' in classes[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_a_run_one_of_whose_processes_is_ended_goes_on_with_other_devices(tmp_path, number):
    write_images(tmp_path)
    arguments = settings(tmp_path, "cut")
    one = start("train_classifier.py", 1, *settings(tmp_path, "one"))
    two = start(PROGRAM, 2, ROOT / "scripts", 1, number, *arguments)
    (alone, *_), main, ended = outcome([*one, *two], SECONDS)
    assert alone == 0
    if number == "SIGKILL":
        assert (main[0], ended[0]) == (3, -signal.SIGKILL), main
        assert "Process 0 of 2 cannot reach the others" in main[2]
    else:
        assert main[0] == ended[0] == 128 + signal.SIGTERM, (main, ended)
        assert "Stopped by SIGTERM after step 5 of 7" in main[2]
    assert len(figures(tmp_path / "cut")) == 1
    go_on = [*arguments, "run.resume=true", "train.devices=all"]
    flags = "--xla_force_host_platform_device_count=2"
    ((code, _, errors),) = outcome(
        start("train_classifier.py", 1, *go_on, XLA_FLAGS=flags), SECONDS
    )
    assert code == 0, errors
    check_equal(tmp_path / "cut", tmp_path / "one")


@pytest.mark.slow
@pytest.mark.parametrize(("which", "number"), [(0, "SIGSTOP"), (1, "SIGSTOP"), (0, "SIGKILL")])
def test_a_run_ends_when_a_worker_does_not_answer(tmp_path, which, number):
    write_images(tmp_path)
    two = start(PROGRAM, 2, ROOT / "scripts", which, number, *settings(tmp_path, "cut"))
    silent, waiting = two[which], two[1 - which]
    try:
        limit = time.monotonic() + SECONDS
        while not gone(silent) and time.monotonic() < limit:
            time.sleep(0.2)
        assert gone(silent)
        # Silence of 8 seconds is asked for; the rest is for a busy machine.
        waiting.communicate(timeout=90)
    finally:
        for process in (silent, waiting):
            process.kill()
        silent.communicate()
    assert waiting.returncode in (3, -signal.SIGABRT)


def gone(process):
    """Whether a process has ended or is stopped."""
    if process.poll() is not None:
        return True
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state in "TtZ"


def test_what_joins_processes_must_be_complete(monkeypatch):
    for name in (processes.ADDRESS, processes.COUNT, processes.INDEX):
        monkeypatch.delenv(name, raising=False)
    assert processes.join_processes() is False
    assert processes.join_processes(count=1, index=0) is False
    with pytest.raises(ValueError, match=f"Missing: {processes.INDEX}\\. Received"):
        processes.join_processes("host:1", count=2)
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax only"):
        processes.join_processes("host:1", count=2, index=0)
    monkeypatch.setenv(processes.ADDRESS, "a:1,b:1")
    monkeypatch.setenv(processes.COUNT, "3")
    monkeypatch.setenv(processes.INDEX, "0")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="one address, or one for each process"):
        processes.join_processes()
    with pytest.raises(ValueError, match="one address, or one for each process"):
        processes.join_processes("a:1", index=3)
    monkeypatch.setenv(processes.COUNT, "two")
    with pytest.raises(ValueError, match=r"must be a whole number\. Received: 'two'"):
        processes.join_processes()


def test_one_process_gathers_from_itself():
    assert processes.gather({"a": 1}) == [{"a": 1}]
    assert processes.from_main(lambda: 5) == 5
    assert processes.highest(7) == 7
    assert processes.batch_share() == (0, 1)
    with pytest.raises(KeyError), processes.lost_processes():
        processes.from_main(lambda: {}["missing"])


def test_several_workers_of_tensorflow_are_refused(monkeypatch):
    cluster = {"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with (
        pytest.raises(ValueError, match=r"KERAS_BACKEND=jax.*3 workers in TF_CONFIG"),
        data_parallel(1),
    ):
        pass
    # Some services set it for a single worker.
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": ["a:1"]}}')
    with data_parallel(1):
        pass
    monkeypatch.setenv("TF_CONFIG", "no JSON")
    refuse_several_workers()
    monkeypatch.delenv("TF_CONFIG")
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with pytest.raises(ValueError, match="strategy=CollectiveAllReduceStrategy"):
        refuse_several_workers(strategy)
