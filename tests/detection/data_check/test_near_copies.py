"""Images that look alike, by pixels made for it."""

import io

import numpy as np
from PIL import Image

from detection.data import Category, DetectionDataset, Record
from detection.data_check import check_data
from detection.data_check.near_copies import difference_hash, find_near_copies
from tests.detection.data_check.sample import config_of, file_of


def picture(seed, size=(120, 90)):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), "uint8")
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def encoded(image, ending="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, ending, **options)
    return stream.getvalue()


def test_the_hash_by_hand():
    # 17 x 16 pixels: each cell is one pixel. Columns rise, but for the last step of odd rows.
    grey = np.tile(10 * np.arange(17, dtype="uint8"), (16, 1))
    grey[1::2, 16] = 0
    found = difference_hash(encoded(Image.fromarray(grey)))
    bits = np.unpackbits(found.view("uint8")).reshape(16, 16)
    expected = np.ones((16, 16))
    expected[1::2, 15] = 0
    np.testing.assert_array_equal(bits, expected)
    assert difference_hash(encoded(Image.new("RGB", (50, 50), (9, 9, 9)))) is None
    assert difference_hash(b"no image") is None


def dataset_of(folder, name, images):
    folder.mkdir(exist_ok=True)
    records = []
    for number, data in enumerate(images):
        path = folder / f"{name}{number}"
        path.write_bytes(data)
        records.append(Record(str(path), number, 90, 120, [[0, 0, 9, 9]], [0]))
    return DetectionDataset(name, [Category(1, "cat")], records)


def test_copies_in_another_form_are_found_across_splits(tmp_path):
    train = [encoded(picture(seed)) for seed in range(30)]
    val = [
        encoded(picture(3), "JPEG", quality=60),
        encoded(picture(4, (240, 180))),
        encoded(picture(5)),  # The same bytes: told as another kind.
        *(encoded(picture(seed)) for seed in range(100, 130)),
        encoded(picture(100), "JPEG"),  # Within one split nothing is said.
        b"no image",
    ]
    sets = {n: dataset_of(tmp_path, n, rows) for n, rows in (("train", train), ("val", val))}
    found = list(find_near_copies(sets))
    assert [(f.kind, f.split, f.image) for f in found] == [
        ("near_copy_in_splits", "val", 0),
        ("near_copy_in_splits", "val", 1),
    ]
    assert found[0].detail == f"in train {tmp_path / 'train3'}"
    assert list(find_near_copies({"train": sets["train"]})) == []


def test_it_is_a_note_of_the_check(folder):
    with Image.open(file_of(folder, 5)) as image:
        image.save(file_of(folder, 2, "val"), quality=50)
    kinds = {problem.kind: problem for problem in check_data(config_of(folder)).problems}
    assert kinds["near_copy_in_splits"].level == "note"
    (finding,) = kinds["near_copy_in_splits"].findings
    assert finding.where == str(file_of(folder, 2, "val"))
    assert str(file_of(folder, 5)) in finding.detail
    headers = check_data(config_of(folder), decode=False)
    assert "near_copy_in_splits" not in [problem.kind for problem in headers.problems]
