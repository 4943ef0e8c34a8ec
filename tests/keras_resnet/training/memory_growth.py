"""Trains 1000 steps with 5 evaluations and prints how the memory of the process grew; a program.

`python memory_growth.py classifier|detector FOLDER` prints the resident bytes at each evaluation.
What lies before the first one is warm-up: compiling, first allocations, threads that start.
"""

import ctypes
import gc
import json
import sys
from pathlib import Path

import numpy as np

STEPS, EVALUATIONS = 1000, 5


def resident():
    """Resident bytes of this process, without what the allocator merely has not given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) * 1024


def classifier(folder):
    from keras_resnet.classification.config import ClassifierConfig
    from keras_resnet.classification.train import train_classifier

    rng, arrays = np.random.default_rng(0), {}
    count = 2 * STEPS // EVALUATIONS // 2
    for split in ("train", "test"):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 16, 16, 3)).astype("uint8")
        arrays[f"y_{split}"] = np.arange(count) % 3
    np.savez(folder / "images.npz", **arrays)
    config = {
        "model": {"name": "ResNet18", "options": {"stage_blocks": [1], "width": 8}},
        "data": {
            "format": "npz",
            "root": str(folder / "images.npz"),
            "train": "train",
            "val": "test",
            "mean": "channel",
            "std": "channel",
            "loader": "pipeline",
            "pipeline": {"batch_size": 4, "image_size": 16, "crop": "pad_crop"},
        },
        "train": {"steps": STEPS, "schedule": "constant", "state_every": 25},
        "run": {"project": str(folder / "runs")},
    }
    config["train"]["evaluate_every"] = STEPS // EVALUATIONS // (count // 4)
    train_classifier(ClassifierConfig.model_validate(config), lambda line: None)


def detector(folder):
    import yaml

    import detection
    from tests.detection.coco_folder import tiny_settings, write_coco

    train = write_coco(folder / "train", 40)
    val = write_coco(folder / "val", 4, seed=1, first_id=201)
    settings = tiny_settings(train, val, folder / "runs")
    settings["data"]["pipeline"] |= {"batch_size": 2, "min_sides": [48], "max_side": 64}
    settings["train"] |= {"steps": STEPS, "tensorboard": False, "state_every": 25}
    settings["train"]["evaluate_every"] = STEPS // EVALUATIONS // 20
    settings["run"] |= {"export": False, "pictures": 0}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    detection.train_detector(detection.load_config(str(path)), say=lambda line: None)


def main(kind, folder):
    from keras_resnet.training import loop_callbacks

    measured = []
    evaluate = loop_callbacks.Evaluate.on_epoch_end

    def measuring(callback, epoch, logs=None):
        before = set(logs)
        evaluate(callback, epoch, logs)
        if set(logs) != before:
            measured.append(resident())

    loop_callbacks.Evaluate.on_epoch_end = measuring
    {"classifier": classifier, "detector": detector}[kind](folder)
    print(json.dumps(measured))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
