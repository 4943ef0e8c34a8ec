"""Which images are set apart for validation."""

import hashlib
import os
import shutil

import pytest

from detection.config import DataConfig
from detection.data import Category, DataError, DetectionDataset, Record, load_coco, split_dataset
from detection.datasets import open_dataset
from tests.detection.data.helpers import voc_object, write_coco, write_voc
from tests.detection.data.test_csv import write
from tests.detection.data.test_yolo import write_yolo


def dataset_of(folder, contents):
    """A data set of files that hold these bytes; splitting looks at nothing else."""
    folder.mkdir(exist_ok=True)
    records = []
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        records.append(Record(str(folder / name), name, 8, 8, [[0, 0, 4, 4]], [0]))
    return DetectionDataset("photos", [Category(1, "cat")], records)


def ids(dataset):
    return [record.image_id for record in dataset.records]


def numbered(count, start=0):
    return {f"{i}.jpg": b"image %d" % i for i in range(start, start + count)}


def test_sides_by_the_rule(tmp_path):
    dataset = dataset_of(tmp_path / "set", numbered(300))
    train, val = split_dataset(dataset, 0.2, seed=7)
    expected = []
    for name, content in numbered(300).items():
        digest = hashlib.sha256(b"7\n" + hashlib.sha256(content).digest()).hexdigest()
        if int(digest[:16], 16) / 16**16 < 0.2:
            expected.append(name)
    assert ids(val) == expected and 40 <= len(expected) <= 80
    assert sorted(ids(train) + ids(val)) == sorted(numbered(300))
    assert (train.name, val.name) == ("photos_train", "photos_val")
    assert train.categories == val.categories == dataset.categories
    assert ids(split_dataset(dataset, 0.2, seed=8)[1]) != expected


def test_files_that_are_added_renamed_or_moved_change_nothing(tmp_path):
    contents = numbered(100)
    before = set(ids(split_dataset(dataset_of(tmp_path / "set", contents), 0.3)[1]))
    more = dict(reversed((contents | numbered(50, start=100)).items()))
    after = set(ids(split_dataset(dataset_of(tmp_path / "elsewhere", more), 0.3)[1]))
    assert {name for name in after if name in contents} == before
    renamed = {f"x{name}": content for name, content in contents.items()}
    found = ids(split_dataset(dataset_of(tmp_path / "renamed", renamed), 0.3)[1])
    assert set(found) == {f"x{name}" for name in before}


def test_copies_are_on_one_side(tmp_path):
    contents = numbered(40) | {f"copy{i}.jpg": b"image %d" % i for i in range(40)}
    train, val = split_dataset(dataset_of(tmp_path / "set", contents), 0.5)
    for side in (train, val):
        names = set(ids(side))
        assert {name for name in names if f"copy{name}" in names} == names & set(numbered(40))


@pytest.mark.parametrize("share", [1e-9, 0.5, 1 - 1e-9])
@pytest.mark.parametrize("count", [2, 3])
def test_both_sides_get_an_image(tmp_path, share, count):
    for seed in range(5):
        train, val = split_dataset(dataset_of(tmp_path / "set", numbered(count)), share, seed)
        assert len(train) >= 1 and len(val) >= 1 and len(train) + len(val) == count


def test_one_image_cannot_be_split(tmp_path):
    for contents in ({}, numbered(1), {"a.jpg": b"same", "b.jpg": b"same"}):
        with pytest.raises(DataError, match="at least 2 are needed"):
            split_dataset(dataset_of(tmp_path / "set", contents), 0.5)
    for share in (0, 1, -0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="Received: val_share="):
            split_dataset(dataset_of(tmp_path / "set", numbered(3)), share)


def configurations(folder):
    """The same eight images in each format."""
    images, annotations = write_coco(folder / "coco", [(40, 60)] * 8, lambda i: [(3, [5, 5, 9, 9])])
    yield {"format": "coco", "train": {"images": str(images), "annotations": str(annotations)}}
    names = sorted(os.listdir(images))
    stems = [name[:-4] for name in names]
    write_voc(folder / "voc", dict.fromkeys(stems, voc_object("a", (2, 2, 9, 9))))
    write_yolo(
        folder / "yolo", dict.fromkeys(stems, "0 0.5 0.5 0.5 0.5"), "train: images\nnames: [a]"
    )
    for name in names:
        shutil.copy(images / name, folder / "voc" / "JPEGImages")
        shutil.copy(images / name, folder / "yolo" / "images" / "train")
    yield {"format": "voc", "root": str(folder / "voc"), "train": {"split": "train"}}
    yield {"format": "yolo", "root": str(folder / "yolo")}
    table = write(images, "".join(f"{name},1,2,3,4,a\n" for name in names))
    yield {"format": "csv", "train": {"annotations": str(table)}}


def test_all_formats_set_the_same_images_apart(tmp_path):
    found = []
    for options in configurations(tmp_path):
        config = DataConfig(**options, val_share=0.4, split_seed=3)
        sides = [open_dataset(config, split) for split in ("train", "val")]
        found.append([[os.path.basename(r.image_path) for r in side.records] for side in sides])
    train, val = found[0]
    assert len(train) + len(val) == 8 and len(val) >= 1
    assert found == [[train, val]] * 4


def test_bad_images_are_refused_before_the_split(tmp_path):
    images, annotations = write_coco(tmp_path, [(40, 60)] * 6, lambda i: [(3, [5, 5, 9, 9])])
    whole = load_coco(images, annotations)
    for record in whole.records[:2]:
        os.remove(record.image_path)
    options = {"images": str(images), "annotations": str(annotations)}
    config = DataConfig(format="coco", train=options, val_share=0.5)
    for split in ("train", "val"):
        with pytest.raises(DataError, match="2 found, 0 allowed"):
            open_dataset(config, split)
    config = DataConfig(format="coco", train=options, val_share=0.5, max_bad_images=2)
    sides = [open_dataset(config, split) for split in ("train", "val")]
    assert sorted(ids(sides[0]) + ids(sides[1])) == [3, 4, 5, 6]
    # Told once.
    assert [len(side.problems) for side in sides] == [2, 0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"val_share": 0}, "greater than 0"),
        ({"val_share": 1.0}, "less than 1"),
        ({"val_share": 0.2, "val": {"split": "val"}}, "either `val` or `val_share`"),
        ({"split_seed": 1}, "`split_seed` goes with `val_share`"),
        ({"format": "shapes", "val_share": 0.2}, "val_share: not used by data of the format"),
    ],
)
def test_settings_that_do_not_fit(settings, words):
    with pytest.raises(ValueError, match=words):
        DataConfig(**{"format": "voc", **settings})


def test_null_takes_back_a_split():
    config = DataConfig(format="voc", val=None, val_share=0.2)
    assert config.parts("val")[0].split is None
