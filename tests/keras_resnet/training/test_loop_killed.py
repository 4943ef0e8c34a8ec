"""Runs killed by SIGKILL and continued end as those that were left alone, to the bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed_runs.py")


def check(tmp_path, backend, amount):
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
    report = json.loads(done.stdout.splitlines()[-1])
    whole = report["whole"]
    assert [row["epoch"] for row in whole["rows"]] == ["1", "2", "3"]
    assert len(whole["saved"]) == 2 and whole["temporary"] == []
    assert report["seen"].count("step") == 13 and report["seen"].count("evaluation") == 3
    for killed in report["found"]:
        deaths = [-signal.SIGKILL] * len(killed["plan"])
        assert killed["codes"] == [*deaths, 0], (killed["plan"], done.stderr)
        assert killed["left"] == whole, killed["plan"]
    return report


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_killed_in_a_step_a_write_and_an_evaluation(tmp_path, backend):
    (killed,) = check(tmp_path, backend, "some")["found"]
    assert [kind for kind, _ in killed["plan"]] == ["step", "fsync", "evaluation"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_killed_at_every_moment(tmp_path, backend):
    assert len(check(tmp_path, backend, "every")["found"]) > 100
