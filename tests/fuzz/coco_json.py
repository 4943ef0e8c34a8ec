"""COCO annotations: bytes of a file, or a sound content that is spoiled."""

import copy
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from detection.data.coco import load_coco
from detection.data.problems import DataError
from tests.detection.data.bad_annotations import SIZE, SOUND
from tests.fuzz.choices import Choices

_KEPT = tempfile.TemporaryDirectory()
_FOLDER = Path(_KEPT.name)
for _name in ("1.jpg", "2.jpg"):
    Image.new("RGB", SIZE[::-1]).save(_FOLDER / _name)

# The first byte says whether the rest is the file or makes choices.
SEEDS = [b"\0" + json.dumps(SOUND).encode(), b"\0[[[", *(bytes([1, i, 3 * i]) for i in range(20))]


def one_input(data):
    """Reads a file; raises whatever is not the documented error."""
    path = _FOLDER / "annotations.json"
    if data[:1] < b"\1":
        path.write_bytes(data[1:])
    else:
        content = Choices(data[1:]).spoil(copy.deepcopy(SOUND))
        path.write_text(json.dumps(content))
    try:
        dataset = load_coco(_FOLDER, path, max_bad_images=10)
    except DataError as error:
        assert str(error).encode()
        return
    check_dataset(dataset)


def check_dataset(dataset):
    """What holds of every data set that a reader returns."""
    assert dataset.summary().replace("\n", "").isprintable()
    for record in dataset.records:
        assert 0 < record.height < 2**31 and 0 < record.width < 2**31
        assert np.isfinite(record.boxes).all() and np.isfinite(record.areas).all()
        assert (record.areas >= 0).all() and (record.boxes >= 0).all()
        assert (record.boxes[:, 2:] >= record.boxes[:, :2]).all()
        assert (record.boxes <= np.float32([record.width, record.height] * 2)).all()
        assert ((record.classes >= 0) & (record.classes < len(dataset.categories))).all()
    json.dumps(dataset.to_coco(), allow_nan=False)
