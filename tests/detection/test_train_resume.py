"""A detector's run that is killed within an epoch and continued ends as one left alone."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.detection.coco_folder import tiny_settings, write_coco

# Each run is a process forked from one in which the backend has not begun to work.
PROGRAM = """
import os, signal, sys
import detection
from keras_resnet.training.run_state import RunState

def run(name, kill_after=None, resume=False):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    save, count = RunState.save, [0]
    def counted(self, *arguments):
        save(self, *arguments)
        count[0] += 1
        if count[0] == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
    RunState.save = counted
    overrides = [f"run.name={name}", f"run.resume={resume}"]
    try:
        detection.train_detector(detection.load_config(sys.argv[1], overrides))
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

# The first state is that of the start; the fourth that of step 3, in the second epoch.
codes = [run("whole"), run("cut", kill_after=4), run("cut", resume=True)]
assert codes == [0, -signal.SIGKILL, 0], codes
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_killed_within_an_epoch(tmp_path, backend):
    train = write_coco(tmp_path / "train", 8)
    val = write_coco(tmp_path / "val", 2, seed=1, first_id=201)
    settings = tiny_settings(train, val, tmp_path / "runs")
    settings["train"] |= {"steps": 5, "evaluate_every": 3, "tensorboard": False}
    settings["train"] |= {"state_every": 1, "deterministic": True}
    settings["run"] |= {"export": False, "pictures": 0}
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    environment = {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        # Most of the time would go into compiling.
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(config)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"continuing {tmp_path / 'runs' / 'cut'} after step 3 of 5" in done.stdout
    whole, cut = (left_in(tmp_path / "runs" / name) for name in ("whole", "cut"))
    assert [row["epoch"] for row in whole["rows"]] == ["1", "2", "3"]
    assert cut == whole


def left_in(folder):
    files = [f"weights/{name}/weights.safetensors" for name in ("best", "last", "state")]
    files += ["weights/state/optimizer.safetensors", "predictions.json"]
    left = {name: (folder / name).read_bytes() for name in files}
    with (folder / "results.csv").open(newline="") as stream:
        rows = [{k: v for k, v in row.items() if "time" not in k} for row in csv.DictReader(stream)]
    metrics = json.loads((folder / "metrics.json").read_text())
    return {**left, "rows": rows, "metrics": {k: v for k, v in metrics.items() if k != "seconds"}}
