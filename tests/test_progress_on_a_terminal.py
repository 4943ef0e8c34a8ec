"""Training as people see it: on a terminal of 80 columns, and in a log."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.keras_resnet.data.helpers import write_folder

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_classifier.py"


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    root = tmp_path_factory.mktemp("terminal")
    write_folder(root / "pets" / "train", {"cat": 150, "dog": 150}, size=(40, 40))
    write_folder(root / "pets" / "val", {"cat": 2, "dog": 2}, size=(40, 40))
    return [
        *(sys.executable, str(SCRIPT), "finetune", "--data", "pets", "--project", "runs"),
        *("--epochs", "3", "--batch", "2", "--imgsz", "32", "--set", "model.weights=null"),
        *("model.options.stage_blocks=[1,1]", "model.options.width=8", "train.evaluation_batch=4"),
    ], root


def has(text, parts):
    return any(part in text for part in parts)


def test_terminal(command):
    """Every line as the terminal shows it, and every state of the line that is drawn over."""
    arguments, root = command
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    process = subprocess.Popen(
        arguments, stdout=theirs, stderr=theirs, stdin=theirs, cwd=root, env=environment
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        data += part
    assert process.wait() == 0, data.decode()
    text = data.decode().replace("\r\n", "\n")
    states = [state for line in text.split("\n") for state in line.split("\r")]
    assert max(map(len, states)) <= 80
    bars = [state for state in states if state.startswith(("epoch 1/3 ", "epoch 2/3 "))]
    wanted = (" loss ", " img/s ", " left ", " lr ", " data ")
    assert any(all(item in bar for item in wanted) for bar in bars), bars
    others = (" took ", " evaluating ")
    drawn = [re.search(r"/150 \[([= ]{6,10})\] ", bar) for bar in bars if not has(bar, others)]
    assert sum(" evaluating " in bar for bar in bars) == 2
    assert drawn and all(drawn), bars
    ends = [state for state in states if " took " in state]
    assert len(ends) == 3
    for item in ("images/s", " left", "lr ", "data ", "memory "):
        assert item in " ".join(states), item


def test_log(command):
    arguments, root = command
    done = subprocess.run(
        arguments, cwd=root, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stdout and "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    # Paths of the user's own files may be longer.
    assert all(len(line) <= 80 for line in lines if "/" not in line.replace("images/s", "")), lines
    assert sum(line.startswith("epoch ") and " took " in line for line in lines) == 3
    for item in ("changed in", "train.epochs=3", "images/s", "lr ", "data ", "memory "):
        assert item in done.stdout, item
