"""Runs `killed_scripts.py` and compares what the runs left."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("killed_scripts.py")


def environment_of(backend, compiled):
    """Environment of a process on a backend; JAX keeps what it compiles in a folder."""
    return {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Most of the time would go into compiling.
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(ROOT),
    }


def assert_same_in_the_end(script, config, runs, plan, backend, files):
    """A run that is ended as a plan says, and continued, leaves what one left alone does.

    Args:
        script: name of a training script.
        config: path of a configuration.
        runs: path of the folder of the runs.
        plan: list of `(kind, number, signal's name)`, see `killed_scripts.py`.
        backend: Keras backend.
        files: names of files in the run folder that must be equal, beside weights and state.

    Returns:
        str, what the scripts printed.
    """
    done = subprocess.run(
        [sys.executable, PROGRAM, ROOT / "scripts" / script, config, json.dumps(plan)],
        env={**os.environ, **environment_of(backend, runs.parent / "compiled")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = [0, *(_code(name) for _, _, name in plan), 0]
    assert json.loads(done.stdout.splitlines()[-1]) == expected, done.stdout + done.stderr
    whole, cut = (_left_in(runs / name, files) for name in ("whole", "cut"))
    epochs = [row["epoch"] for row in whole["rows"]]
    assert epochs == [str(i + 1) for i in range(len(epochs))] and len(epochs) > 1
    assert cut == whole
    return done.stdout + done.stderr


def _code(name):
    number = signal.Signals[name]
    return -number if number == signal.SIGKILL else 128 + number


def _left_in(folder, files):
    names = [f"weights/{name}/weights.safetensors" for name in ("best", "last", "state")]
    names += [f"weights/state/{name}.safetensors" for name in ("optimizer", "more")]
    left = {name: (folder / name).read_bytes() for name in (*names, "weights/checkpoints.json")}
    left |= {name: (folder / name).read_bytes() for name in files}
    with (folder / "results.csv").open(newline="") as stream:
        rows = [{k: v for k, v in row.items() if "time" not in k} for row in csv.DictReader(stream)]
    metrics = json.loads((folder / "metrics.json").read_text())
    return {
        **left,
        "rows": rows,
        "metrics": {k: v for k, v in metrics.items() if k != "seconds"},
        "hidden": [str(path) for path in folder.rglob(".*")],
    }
