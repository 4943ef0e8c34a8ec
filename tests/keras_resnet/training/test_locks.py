"""Two processes never work in one run folder."""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_resnet.classification.config import ClassifierConfig
from keras_resnet.classification.train import train_classifier
from keras_resnet.training import locks
from keras_resnet.training.locks import RunInUse, held, run_lock, who_holds
from keras_resnet.training.write_errors import WriteError
from tests.keras_resnet.training.test_loop import train, train_cut

# Loaded by itself, it needs neither Keras nor a backend.
HOLDER = """
import importlib.util, sys, time, types
for name in ("keras_resnet", "keras_resnet.training"):
    sys.modules[name] = types.ModuleType(name)
def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
folder, path = sys.argv[1:]
load(path.replace("locks.py", "write_errors.py"), "keras_resnet.training.write_errors")
with load(path, "keras_resnet.training.locks").run_lock(folder):
    print("mine", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def held_by_another_process(folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), locks.__file__],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "mine\n"
        yield holder
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def contents(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    train_cut(tmp_path / "run", 2)
    with held_by_another_process(tmp_path / "run") as holder:
        before = contents(tmp_path / "run")
        words = rf"in use by process {holder.pid} on '{socket.gethostname()}'.*`run\.name`"
        for resume in (True, False):
            with pytest.raises(RunInUse, match=words):
                train(tmp_path / "run", resume=resume)
        assert contents(tmp_path / "run") == before
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        lines = []
        train(tmp_path / "run", resume=True, say=lines.append)
        assert lines == [f"continuing {tmp_path / 'run'} after step 2 of 10"]


def config_of(tmp_path, **run):
    images = np.zeros((4, 8, 8, 3), "uint8")
    arrays = {"x_train": images, "x_test": images, "y_train": [0, 1, 0, 1], "y_test": [0, 1, 0, 1]}
    np.savez(tmp_path / "images.npz", **arrays)
    return ClassifierConfig.model_validate(
        {
            "model": {"name": "ResNet18", "options": {"stage_blocks": [1], "width": 4}},
            "data": {
                "format": "npz",
                "root": str(tmp_path / "images.npz"),
                "train": "train",
                "val": "test",
                "mean": [0, 0, 0],
                "std": [1, 1, 1],
                "pipeline": {"batch_size": 2, "image_size": 8, "crop": "none"},
            },
            "train": {"steps": 2, "schedule": "constant"},
            "run": {"project": str(tmp_path / "runs"), "name": "a", **run},
        }
    )


def test_a_classifier_asks_before_it_writes(tmp_path):
    folder, _ = train_classifier(config_of(tmp_path), say=lambda line: None)
    before = contents(folder)
    with held_by_another_process(folder) as holder:
        before[folder / locks.RUN_LOCK] = (folder / locks.RUN_LOCK).read_bytes()
        with pytest.raises(RunInUse, match=f"process {holder.pid}"):
            train_classifier(config_of(tmp_path, resume=True), say=lambda line: None)
        assert contents(folder) == before


def in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_a_thread_may_take_it_again_and_another_one_not(tmp_path):
    found = []

    def other():
        try:
            with run_lock(tmp_path):
                found.append("taken")
        except RunInUse:
            found.append("refused")

    with run_lock(tmp_path):
        with run_lock(tmp_path):
            pass
        in_a_thread(other)  # the inner one did not give it back
    in_a_thread(other)
    assert found == ["refused", "taken"]


def test_the_note_is_no_lock(tmp_path):
    path = tmp_path / "a" / "x.lock"
    path.parent.mkdir()
    for text in ("", "no json", '{"pid": "x", "host": 3}', "[1]"):
        path.write_text(text)
        assert who_holds(path) == "another process"
    with held(path) as mine:
        assert mine
        assert json.loads(path.read_text()) == {"pid": os.getpid(), "host": socket.gethostname()}
        with held(path) as again:
            assert not again
    with held(path) as mine:
        assert mine


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_without_locks_is_said(tmp_path, monkeypatch, number):
    def no_locks(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_locks)
    words = r"has no locks .*nothing keeps two processes"
    with pytest.warns(UserWarning, match=words), run_lock(tmp_path):
        pass


def test_a_lock_that_fails_for_another_reason_is_an_error(tmp_path, monkeypatch):
    def broken(handle, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fcntl.flock", broken)
    words = r"run\.lock could not be written: Input/output error"
    with pytest.raises(WriteError, match=words), run_lock(tmp_path):
        pass
