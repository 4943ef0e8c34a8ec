"""Tables of boxes: bytes of a file."""

import tempfile
from pathlib import Path

from PIL import Image

from detection.data.csv_boxes import load_csv
from detection.data.problems import DataError
from tests.detection.data.bad_annotations import SIZE
from tests.detection.data.bad_label_files import CSV
from tests.fuzz.coco_json import check_dataset

_KEPT = tempfile.TemporaryDirectory()
_FOLDER = Path(_KEPT.name)
for _name in ("1.jpg", "2.jpg"):
    Image.new("RGB", SIZE[::-1]).save(_FOLDER / _name)

_TEXTS = [case.text for case in CSV if len(case.text) < 5000]
SEEDS = [text if isinstance(text, bytes) else text.encode() for text in _TEXTS]


def one_input(data):
    """Reads a file, and takes it for a list of classes; raises whatever is no documented error."""
    path = _FOLDER / "boxes.csv"
    path.write_bytes(data)
    for classes in (None, ("cat",), path):
        try:
            dataset = load_csv(path, classes=classes, max_bad_images=10)
        except DataError as error:
            assert str(error).encode()
            continue
        check_dataset(dataset)
