"""What is published is complete or not there, and what killed processes leave is removed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from keras_resnet.model_file import metadata_path, new_file, publish_file
from keras_resnet.saved_model import publish

KILLED = """
import os, signal, sys
from keras_resnet.model_file import publish_file
from keras_resnet.saved_model import publish

def make(place):
    file = place / "half" if place.is_dir() else place
    file.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

kind, path = sys.argv[1:]
publish(path, None, make, "facts.json") if kind == "folder" else publish_file(path, make)
"""


def made(place):
    (place / "saved_model.pb" if place.is_dir() else place).write_text("whole")
    return {"classes": 3}


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_a_killed_export_left_is_removed_by_the_next(kind, tmp_path):
    path = tmp_path if kind == "folder" else tmp_path / "net.onnx"
    done = subprocess.run([sys.executable, "-c", KILLED, kind, path], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".export-")
    if kind == "folder":
        target = publish(path, None, made, "facts.json")
        assert [p.name for p in tmp_path.iterdir()] == ["1"]
        assert (target / "saved_model.pb").read_text() == "whole"
        facts = json.loads((target / "assets" / "facts.json").read_text())
        assert facts == {"version": 1, "classes": 3}
    else:
        target = publish_file(path, made)
        assert {p.name for p in tmp_path.iterdir()} == {"net.onnx", "net.onnx.json"}
        assert target.read_text() == "whole"
        assert json.loads(metadata_path(target).read_text()) == {"classes": 3}


def test_exports_that_still_run_are_left_alone(tmp_path):
    host = socket.gethostname()
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        names = [f".export-{host}-{sleeper.pid}-a1", ".export-elsewhere-7-b2", ".export-ab_-cd"]
        for name in names:
            (tmp_path / name).mkdir()
        publish(tmp_path, 3, made, "facts.json")
        assert {p.name for p in tmp_path.iterdir()} == {"3", *names}
        long_ago = time.time() - 2 * 24 * 3600
        os.utime(tmp_path / names[1], (long_ago, long_ago))
        publish(tmp_path, None, made, "facts.json")
        assert {p.name for p in tmp_path.iterdir()} == {"3", "4", names[0], names[2]}
    finally:
        sleeper.communicate(b"\n")


def test_an_export_that_fails_leaves_nothing(tmp_path):
    def fails(place):
        made(place)
        raise ValueError("it differs")

    for kind in (lambda: publish(tmp_path, None, fails, "f.json"),
                 lambda: publish_file(tmp_path / "net.tflite", fails)):  # fmt: skip
        with pytest.raises(ValueError, match="it differs"):
            kind()
    assert list(tmp_path.iterdir()) == []


def test_a_file_taken_in_the_meantime_stays(tmp_path):
    def slow(place):
        (tmp_path / "net.onnx").write_text("theirs")
        return made(place)

    with pytest.raises(ValueError, match="never overwritten"):
        publish_file(tmp_path / "net.onnx", slow)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    assert (tmp_path / "net.onnx").read_text() == "theirs"
    with pytest.raises(ValueError, match=r"Received: path='.*net\.pt'"):
        new_file(tmp_path / "net.pt")
