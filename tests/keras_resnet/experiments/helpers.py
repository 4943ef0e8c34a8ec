"""Records of runs that nobody trained, and small images."""

import dataclasses

import numpy as np

from keras_resnet.experiments.grid import Run
from keras_resnet.experiments.records import write_record


def record(run, test_error=0.5, train_error=0.4, diverged_at=None, steps=64_000, length=164):
    """A record as `reproduce` writes it, with curves that fall in three steps."""
    rng = np.random.default_rng([run.depth, run.seed])
    x = np.linspace(0, 1, length + 1)[1:]
    drop = np.where(x < 0.5, 1.0, np.where(x < 0.75, 0.1, 0.0))
    noise = 1 + 0.2 * rng.standard_normal(length) * drop
    test = test_error + (0.1 * drop + 0.5 * np.exp(-20 * x)) * noise
    train = train_error + 0.05 * drop + 0.5 * np.exp(-20 * x)
    shares = 0.3 + rng.random(run.depth)
    gradients = {
        "names": [f"layer{i}" for i in range(run.depth)],
        "kernels": list(shares),
        "outputs": list(shares),
        "loss": 2.3,
    }
    found = {
        "run": dataclasses.asdict(run),
        "status": "finished" if diverged_at is None else "diverged",
        "diverged_at": diverged_at,
        "parameters": 270_000,
        "steps": steps,
        "batch": 128,
        "warmup_steps": 400 if run.depth >= 110 else 0,
        "train_images": 50_000,
        "test_images": 10_000,
        "backend": "jax",
        "minutes": 4.5,
        "gradients_start": gradients,
        "curve": {
            "steps": [int(v) for v in x * steps],
            "train_error": list(train),
            "test_error": list(test),
        },
    }
    if diverged_at is None:
        found |= {
            "test_error": test_error,
            "best_test_error": test_error,
            "test_loss": 1.0,
            "final_train_error": train_error,
            "final_train_loss": 1.0,
            "gradients_end": gradients,
            "responses": {"names": gradients["names"][:-1], "stds": list(shares[:-1])},
        }
    else:
        found["curve"] = {key: v[: length // 3] for key, v in found["curve"].items()}
    return found


def write_records(folder, records):
    for one in records:
        write_record(folder / "runs" / Run(**one["run"]).name, one)


def write_images(path, train=96, test=24, size=16, seed=0):
    """A `.npz` of random images, ten classes."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", train), ("test", test)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, size, size, 3), dtype="uint8")
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(path, **arrays)
    return str(path)
