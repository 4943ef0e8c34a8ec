"""Runs killed by SIGKILL and continued end as those that were left alone, to the bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed_runs.py")


def report(tmp_path, backend, amount):
    environment = {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Most of the time would go into compiling.
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1" if amount == "some" else "0",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), amount],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_killed_in_a_step_a_write_and_an_evaluation(tmp_path, backend):
    found, errors = report(tmp_path, backend, "some")
    whole = found["whole"]
    assert [row["epoch"] for row in whole["rows"]] == ["1", "2", "3"]
    assert len(whole["saved"]) == 2 and whole["temporary"] == []
    assert found["seen"].count("step") == 13 and found["seen"].count("evaluation") == 3
    assert [kind for kind, _ in found["plan"]] == ["step", "fsync", "evaluation"]
    assert found["codes"] == [*[-signal.SIGKILL] * 3, 0], errors
    assert found["left"] == whole


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_continued_from_every_one_of_fifty_steps(tmp_path, backend):
    found, _ = report(tmp_path, backend, "steps")
    assert found["seen"].count("step") == found["continued"] == 50
    assert found["wrong"] == []


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_continued_from_every_moment_of_fifty_steps(tmp_path, backend):
    found, _ = report(tmp_path, backend, "moments")
    assert found["seen"].count("step") == 50 and found["seen"].count("evaluation") == 10
    assert found["continued"] > 300 and found["wrong"] == []
