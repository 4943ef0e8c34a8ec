"""A classifier's run that is ended at any moment and continued ends as one left alone."""

import json

import numpy as np
import pytest
import yaml

from tests.keras_resnet.training.scripts_killed import assert_same_in_the_end

PLAN = [
    ("step", 5, "SIGKILL"),
    ("fsync", 9, "SIGKILL"),
    ("prediction", 2, "SIGKILL"),
    ("evaluation", 1, "SIGKILL"),
    ("step", 3, "SIGTERM"),
    ("step", 2, "SIGINT"),
]


@pytest.fixture
def config(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 24), ("test", 8)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 8, 8, 3)).astype("uint8")
        arrays[f"y_{split}"] = np.arange(count) % 3
    np.savez(tmp_path / "images.npz", **arrays)
    settings = {
        "model": {
            "name": "ResNet18",
            "options": {"stage_blocks": [2], "width": 4, "stochastic_depth": 0.5},
        },
        "data": {
            "format": "npz",
            "root": str(tmp_path / "images.npz"),
            "train": "train",
            "val": "test",
            "mean": "channel",
            "std": "channel",
            "pipeline": {"batch_size": 4, "image_size": 8, "crop": "pad_crop", "mixup": 0.3},
        },
        "train": {
            "steps": 15,
            "schedule": "cosine",
            "warmup_length": 3,
            "state_every": 2,
            "evaluation_batch": 4,
            "ema": {"decay": 0.9},
            "reference_batch": 4,
            "learning_rate": 0.05,
        },
        "run": {"project": str(tmp_path / "runs")},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_ended_in_a_step_a_write_and_an_evaluation(tmp_path, config, backend):
    runs = tmp_path / "runs"
    said = assert_same_in_the_end("train_classifier.py", config, runs, PLAN, backend, [])
    assert "SIGTERM: stopping after this step (again: at once)" in said
    assert "Stopped by SIGTERM after step " in said
    assert "Stopped by SIGINT after step " in said
    assert json.loads((runs / "cut" / "weights" / "checkpoints.json").read_text())["epoch"]
