"""Names in annotations that lead out of the image folder."""

import json
import os

import pytest

from detection.config import DataConfig
from detection.data import DataError, load_coco, load_voc
from detection.data.named_files import NamedFiles
from detection.datasets import open_dataset
from tests.detection.data.helpers import voc_object, write_coco, write_image, write_voc


@pytest.fixture
def folder(tmp_path):
    """`images` with links that stay and links that leave, beside `secret`."""
    for name in ("images/1.jpg", "images/sub/2.jpg", "secret/3.jpg", "images2/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / name, (8, 8))
    images = tmp_path / "images"
    (images / "stays.jpg").symlink_to("sub/2.jpg")
    (images / "leaves.jpg").symlink_to(tmp_path / "secret" / "3.jpg")
    (images / "dangling.jpg").symlink_to("nowhere.jpg")
    (images / "circle.jpg").symlink_to("circle.jpg")
    (images / "out").symlink_to(tmp_path / "secret")
    (images / "device.jpg").symlink_to("/dev/zero")
    os.mkfifo(images / "pipe.jpg")
    (tmp_path / "linked").symlink_to(images)
    return tmp_path


NAMES = [
    # name, kind of problem, the same with `follow_links`
    ("1.jpg", None, None),
    ("sub/2.jpg", None, None),
    ("sub/../1.jpg", None, None),
    ("{root}/images/1.jpg", None, None),
    ("stays.jpg", None, None),
    ("../secret/3.jpg", "outside_folder", "outside_folder"),
    ("sub/../../secret/3.jpg", "outside_folder", "outside_folder"),
    ("../images2/4.jpg", "outside_folder", "outside_folder"),
    ("{root}/secret/3.jpg", "outside_folder", "outside_folder"),
    ("/etc/passwd", "outside_folder", "outside_folder"),
    ("leaves.jpg", "outside_folder", None),
    ("out/3.jpg", "outside_folder", None),
    ("out/../images2/4.jpg", "outside_folder", "outside_folder"),
    ("device.jpg", "outside_folder", "missing_image"),
    ("pipe.jpg", "missing_image", "missing_image"),
    ("dangling.jpg", "missing_image", "missing_image"),
    ("circle.jpg", "missing_image", "missing_image"),
    ("1.jpg\0.png", "missing_image", "missing_image"),
    ("\0", "missing_image", "missing_image"),
    ("\ud800", "missing_image", "missing_image"),
    ("a" * 5000, "missing_image", "missing_image"),
    ("a/" * 3000, "missing_image", "missing_image"),
    ("..", "missing_image", "missing_image"),
    (".", "missing_image", "missing_image"),
    ("", "missing_image", "missing_image"),
    ("sub", "missing_image", "missing_image"),
]


@pytest.mark.parametrize("base", ["images", "linked", "images/"])
@pytest.mark.parametrize(("name", "kind", "followed"), NAMES)
def test_names(folder, base, name, kind, followed):
    name = name.format(root=folder)
    images = os.path.join(folder, base)
    assert NamedFiles(images).find(name)[1] == kind
    assert NamedFiles(images, follow_links=True).find(name)[1] == followed


def test_coco_names_outside_are_refused_or_counted(folder):
    images, path = write_coco(folder / "set", [(8, 8)] * 3)
    (images / "leaves.jpg").symlink_to(folder / "secret" / "3.jpg")
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "../../secret/3.jpg"
    content["images"][1]["file_name"] = "leaves.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"(?s)2 found, 0 allowed.*\.\./\.\./secret.*leads out"):
        load_coco(images, path)
    dataset = load_coco(images, path, max_bad_images=2)
    assert dataset.problems.counts() == {"outside_folder": 2}
    assert [record.image_id for record in dataset.records] == [3]
    split = {"images": str(images), "annotations": str(path)}
    config = DataConfig(format="coco", train=split, val=split, follow_links=True, max_bad_images=1)
    assert [record.image_id for record in open_dataset(config, "train").records] == [2, 3]


def test_voc_names_outside_are_refused_or_counted(folder):
    root = folder / "voc"
    write_voc(root, {"x": voc_object("a", (2, 2, 9, 9))}, ["x", "../../secret/3"])
    with pytest.raises(DataError, match="leads out of the image folder"):
        load_voc(root, "train")
    dataset = load_voc(root, "train", max_bad_images=1)
    assert dataset.problems.counts() == {"outside_folder": 1}
    # An image in its place, whose annotation is a link that leaves.
    write_voc(root, {"x": voc_object("a", (2, 2, 9, 9)), "y": ""}, ["x", "y"])
    (root / "Annotations" / "y.xml").unlink()
    (folder / "secret" / "y.xml").write_text("<annotation/>")
    (root / "Annotations" / "y.xml").symlink_to(folder / "secret" / "y.xml")
    assert load_voc(root, "train", max_bad_images=1).problems.counts() == {"outside_folder": 1}
    followed = load_voc(root, "train", follow_links=True)
    assert [record.image_id for record in followed.records] == ["x", "y"]


def test_classes_of_voc_come_from_its_own_files(tmp_path):
    root = write_voc(tmp_path / "voc", {"x": voc_object("hen", (2, 2, 9, 9))})
    elsewhere = tmp_path / "elsewhere.xml"
    elsewhere.write_text(f"<annotation>{voc_object('secret', (2, 2, 9, 9))}</annotation>")
    (root / "Annotations" / "z.xml").symlink_to(elsewhere)
    assert load_voc(root, "train").class_names == ("hen",)
    assert load_voc(root, "train", follow_links=True).class_names == ("hen", "secret")
