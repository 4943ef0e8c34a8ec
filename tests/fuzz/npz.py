"""`.npz` files."""

import tempfile
from pathlib import Path

import numpy as np

from keras_resnet.data.arrays import load_npz
from tests.keras_resnet.data.bad_data import NPZ, npz

_KEPT = tempfile.TemporaryDirectory()
_PATH = Path(_KEPT.name, "a.npz")
SEEDS = [npz(), *(content for content in (c.content() for c in NPZ[:8]) if len(content) < 5000)]


def one_input(data):
    """Reads a file; raises whatever is not the documented error."""
    _PATH.write_bytes(data)
    try:
        dataset = load_npz(_PATH, "train")
    except ValueError as error:
        assert str(error)
        return
    assert dataset.images.dtype == np.uint8 and len(dataset.images) == len(dataset.labels)
