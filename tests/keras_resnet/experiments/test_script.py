"""The command line of the experiment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.keras_resnet.experiments.helpers import write_images

SCRIPT = Path(__file__).parents[3] / "scripts" / "reproduce_cifar10.py"

# As the script, where TensorFlow cannot be imported.
WITHOUT_TENSORFLOW = """
import runpy, sys
sys.modules["tensorflow"] = None
sys.path.insert(0, sys.argv[1].rpartition("/")[0])
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def call(*arguments, folder, program=(str(SCRIPT),)):
    # The backend that starts faster.
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_list_prints_the_grid_and_does_nothing(tmp_path):
    done = call(
        *("--list", "--kinds", "plain", "residual", "--depths", "20", "110", "--seeds", "0", "1"),
        *("--shortcuts", "A", "C", "--steps", "3200"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * (2 + 4) + 1
    # 3,200 of 64,000 steps: 20 of 400.
    deep = "3,200 steps of 128, rate drops at 1,600, 2,400, warm-up 20  to do"
    assert lines[1].split(maxsplit=1) == ["plain110_seed0", deep]
    assert lines[-1] == "12 runs, 12 to do, at most 38,400 steps"
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_one_message(tmp_path):
    done = call("--data", "nowhere.npz", "--depths", "21", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: `depths` must be 6n + 2")
    assert "Received: depth 21" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_trains_on_jax_without_tensorflow(tmp_path):
    write_images(tmp_path / "images.npz")
    done = call(
        *("--data", "images.npz", "--kinds", "plain", "--depths", "8", "--steps", "4"),
        *("--batch", "32", "--set", "model.options.width=4", "--quiet", "--name", "tiny"),
        folder=tmp_path,
        program=("-c", WITHOUT_TENSORFLOW, str(SCRIPT)),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    lines = (tmp_path / "runs" / "tiny" / "runs.csv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("plain,8,,0,,finished,")
    assert lines[1].endswith(",jax")
