"""Tells whether a run is continued with its own settings and data."""

import hashlib
from pathlib import Path

import numpy as np

from keras_resnet.data.dataset import hash_files


def identity_of(config, datasets):
    """What a run that is continued has in common with its beginning: settings and data.

    Args:
        config: a `detection.config.Config`.
        datasets: dict with `DetectionDataset`s `"train"` and `"val"`.

    Returns:
        Dict of plain values.
    """
    free = {"tensorboard", "profile", "jit_compile", "state_every", "devices"}
    return {
        **config.model_dump(mode="json", exclude={"run": True, "expected": True, "train": free}),
        "class_names": list(datasets["train"].class_names),
        "images": {split: _fingerprint(dataset) for split, dataset in datasets.items()},
    }


def _fingerprint(dataset):
    """Tells data sets of other images, sizes or boxes apart; where the files are does not count."""
    total = hashlib.sha256()
    for r in dataset.records:
        row = (str(r.image_id), Path(r.image_path).name, int(r.height), int(r.width))
        total.update(repr(row).encode())
        for array in (r.boxes, r.classes, r.is_crowd):
            total.update(np.ascontiguousarray(array).tobytes())
    hash_files(total, [str(r.image_path) for r in dataset.records])
    return {"count": len(dataset), "sha256": total.hexdigest()}
