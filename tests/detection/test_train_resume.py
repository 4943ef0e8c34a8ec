"""A detector's run that is ended at any moment and continued ends as one left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.detection.coco_folder import tiny_settings, write_coco
from tests.keras_resnet.training.scripts_killed import assert_same_in_the_end, environment_of

PARTS = 10  # of the fifty steps, each run by itself
PLAN = [
    ("fsync", 14, "SIGKILL"),
    ("prediction", 1, "SIGKILL"),
    ("evaluation", 1, "SIGKILL"),
    ("step", 1, "SIGTERM"),
    ("step", 1, "SIGINT"),
]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_ended_in_a_write_an_evaluation_and_a_step(tmp_path, backend):
    train = write_coco(tmp_path / "train", 8)
    val = write_coco(tmp_path / "val", 2, seed=1, first_id=201)
    settings = tiny_settings(train, val, tmp_path / "runs")
    settings["train"] |= {"steps": 5, "evaluate_every": 2, "tensorboard": False}
    settings["train"] |= {"state_every": 1, "deterministic": True}
    settings["run"] |= {"export": False, "pictures": 0}
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    files = ["predictions.json"]
    said = assert_same_in_the_end(
        "train_detector.py", config, tmp_path / "runs", PLAN, backend, files
    )
    assert f"continuing {tmp_path / 'runs' / 'cut'} after step " in said
    assert "Stopped by SIGTERM after step " in said
    assert "Stopped by SIGINT after step " in said


def continued(tmp_path, backend, *arguments):
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("every_step.py"), tmp_path, *arguments],
        env={**os.environ, **environment_of(backend, tmp_path / "compiled")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_continued_from_three_moments(tmp_path, backend):
    found = continued(tmp_path, backend, "short")
    assert found["seen"].count("step") == 8 and found["seen"].count("evaluation") == 3
    assert found["continued"] == 3 and found["wrong"] == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_continued_from_every_one_of_fifty_steps(tmp_path, backend, part):
    found = continued(tmp_path, backend, "long", f"{part}/{PARTS}")
    assert found["seen"].count("step") == 50 and found["seen"].count("evaluation") == 3
    # An evaluation changes nothing on the disk.
    assert found["continued"] == 50 // PARTS and found["wrong"] == []
