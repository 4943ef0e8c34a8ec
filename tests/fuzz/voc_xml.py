"""VOC annotations: bytes of a file, or a sound one with other values."""

import tempfile
from pathlib import Path

from PIL import Image

from detection.data.problems import DataError
from detection.data.voc import load_voc
from tests.detection.data.bad_annotations import GOOD, SIZE, VOC, whole
from tests.fuzz.choices import AWKWARD, Choices
from tests.fuzz.coco_json import check_dataset

_KEPT = tempfile.TemporaryDirectory()
_FOLDER = Path(_KEPT.name)
for _name in ("Annotations", "JPEGImages", "ImageSets/Main"):
    (_FOLDER / _name).mkdir(parents=True)
Image.new("RGB", SIZE[::-1]).save(_FOLDER / "JPEGImages" / "1.jpg")
(_FOLDER / "ImageSets" / "Main" / "train.txt").write_text("1\n")

_TEXTS = [case.xml for case in VOC if case.xml is not None and len(case.xml) < 5000]
SEEDS = [b"\0" + (text if isinstance(text, bytes) else text.encode()) for text in _TEXTS]
SEEDS += [bytes([1, i, 3 * i, i // 2]) for i in range(20)]


def one_input(data):
    """Reads a file; raises whatever is not the documented error."""
    content = data[1:]
    if data[:1] >= b"\1":
        choices = Choices(data[1:])
        text = whole(GOOD * (1 + choices.below(3)))
        for _ in range(choices.below(6)):
            old = choices.of(["5", "6", "20", "30", "60", "40", "cat", "bndbox", "size", ">", "<"])
            text = text.replace(old, str(choices.of(AWKWARD)), 1 + choices.below(3))
        content = text.encode("utf-8", "surrogatepass")
    (_FOLDER / "Annotations" / "1.xml").write_bytes(content)
    for classes in (None, ("cat",)):
        try:
            dataset = load_voc(_FOLDER, "train", classes=classes, max_bad_images=10)
        except DataError as error:
            assert str(error).encode()
            continue
        check_dataset(dataset)
