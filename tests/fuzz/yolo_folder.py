"""YOLO folders: bytes of `data.yaml`, of a list of images, or of a label file."""

import tempfile
from pathlib import Path

from PIL import Image

from detection.data.problems import DataError
from detection.data.yolo import load_yolo
from tests.detection.data.bad_annotations import SIZE
from tests.detection.data.bad_label_files import GOOD, YOLO
from tests.fuzz.coco_json import check_dataset

_KEPT = tempfile.TemporaryDirectory()
_FOLDER = Path(_KEPT.name)
for _name in ("images", "labels"):
    (_FOLDER / _name).mkdir()
for _name in ("1", "2"):
    Image.new("RGB", SIZE[::-1]).save(_FOLDER / "images" / f"{_name}.jpg")

_FILES = {"data.yaml": b"train: list.txt\nnames: [cat, dog]\n"}
_FILES["list.txt"] = b"images/1.jpg\n./images/2.jpg\n"
_FILES["labels/1.txt"] = GOOD.encode()

_TEXTS = [case.text for case in YOLO if case.text is not None and len(case.text) < 5000]
_YAML = (
    "train: images\nnc: 2\nnames: {0: a, 1: b}\ndownload: x\n",
    "path: .\ntrain: [images]\nnames: [a, b]\nkpt_shape: [2, 3]\n",
    "path: ../..\ntrain: ../images\nnames: [a]\n",
)
# The first byte says which file the rest is.
SEEDS = [b"\2" + (text if isinstance(text, bytes) else text.encode()) for text in _TEXTS]
SEEDS += [b"\0" + text.encode() for text in _YAML]
SEEDS += [b"\1images/1.jpg\n", b"\1../x.jpg\nimages\\2.jpg", b"\1" + _FILES["list.txt"] * 2]


def one_input(data):
    """Reads a folder with one file replaced; raises whatever is not a documented error."""
    chosen = list(_FILES)[data[0] % 3 if data else 0]
    for name, content in _FILES.items():
        (_FOLDER / name).write_bytes(data[1:] if name == chosen else content)
    try:
        dataset = load_yolo(_FOLDER, max_bad_images=10)
    except (DataError, FileNotFoundError) as error:
        assert str(error).encode()
        return
    check_dataset(dataset)
    assert all(
        Path(record.image_path).resolve().is_relative_to(_FOLDER.resolve())
        for record in dataset.records
    )
