"""A long run needs no more memory than a short one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.keras_resnet.training.scripts_killed import environment_of

PROGRAM = Path(__file__).with_name("memory_growth.py")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_a_thousand_steps_and_five_evaluations(tmp_path, kind, backend):
    done = subprocess.run(
        [sys.executable, PROGRAM, kind, tmp_path],
        env={**os.environ, **environment_of(backend, tmp_path / "compiled")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert len(measured) == 5 and min(measured) > 2**26
    # The first evaluation is the end of the warm-up.
    assert max(measured[1:]) < 1.02 * measured[0], [f"{m / 2**20:.1f} MiB" for m in measured]
