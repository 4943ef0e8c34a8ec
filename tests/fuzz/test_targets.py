"""Each target on its seeds and on some hundred mutations of them, without a fuzzer."""

import importlib

import numpy as np
import pytest

from tests.fuzz import TARGETS

# Inputs that once raised something else than the documented error.
FOUND = {
    "coco_json": [],
    "voc_xml": [],
    "yolo_folder": [],
    "csv_table": [],
    "yaml_config": [],
    "image_bytes": [],
    "cifar_pickle": [],
    "npz": [],
    "safetensors_file": [],
    "hdf5_file": [],
    "keras_archive": [],
}


def mutated(seed, rng):
    content = bytearray(seed)
    for _ in range(rng.integers(1, 6)):
        place = int(rng.integers(0, len(content) + 1))
        kind = rng.integers(4)
        if kind == 0 and place < len(content):
            content[place] = rng.integers(256)
        elif kind == 1:
            content[place:place] = rng.bytes(int(rng.integers(1, 5)))
        elif kind == 2:
            del content[place : place + int(rng.integers(1, 9))]
        else:
            content[place:place] = content[: int(rng.integers(0, 20))]
    return bytes(content)


@pytest.mark.parametrize("name", TARGETS)
def test_target(name):
    target = importlib.import_module(f"tests.fuzz.{name}")
    rng = np.random.default_rng(0)
    for data in (*target.SEEDS, *FOUND[name]):
        target.one_input(data)
    for _ in range(getattr(target, "MUTATIONS", 250)):
        target.one_input(mutated(target.SEEDS[rng.integers(len(target.SEEDS))], rng))
