"""The VOC reader against boxes worked out by hand."""

import numpy as np
import pytest

from detection.data import DataError, load_voc
from tests.detection.data.helpers import voc_object, write_voc


def test_corners_count_from_one(tmp_path):
    xml = voc_object("dog", (1, 1, 60, 40)) + voc_object("cat", (11, 6, 20, 30), difficult=1)
    write_voc(tmp_path, {"x": xml, "y": ""})
    dataset = load_voc(tmp_path, "train")
    record = dataset.records[0]
    # The whole image; and columns 11..20 counted from 1, which span 10..20.
    np.testing.assert_array_equal(record.boxes, [[0, 0, 60, 40], [10, 5, 20, 30]])
    assert record.difficult.tolist() == [False, True]
    assert [annotation["difficult"] for annotation in dataset.to_coco()["annotations"]] == [0, 1]
    assert dataset.read(1)["boxes"].shape == (0, 4) and dataset.records[1].image_id == "y"
    assert [category.id for category in dataset.categories] == list(range(1, 21))
    assert dataset.class_names[record.classes[0]] == "dog"
    assert len(load_voc(tmp_path, "train", keep_difficult=False).records[0].boxes) == 1


def test_all_splits_get_the_same_classes(tmp_path):
    xml_of = {name: voc_object(name, (2, 2, 9, 9)) for name in ("zebra", "ant")}
    write_voc(tmp_path, xml_of, ["zebra"], split="train")
    write_voc(tmp_path, xml_of, ["ant"], split="val")
    for split, expected in (("train", 1), ("val", 0)):
        dataset = load_voc(tmp_path, split)
        assert dataset.class_names == ("ant", "zebra")
        assert dataset.records[0].classes.tolist() == [expected]


def test_given_classes_keep_their_order_and_others_are_counted(tmp_path):
    xml = "".join(voc_object(name, (2, 2, 9, 9)) for name in ("ant", "bee", "cow"))
    write_voc(tmp_path, {"x": xml})
    dataset = load_voc(tmp_path, "train", classes=("cow", "ant"))
    assert dataset.records[0].classes.tolist() == [1, 0]
    assert dataset.problems.counts() == {"unknown_category": 1}
    assert "'bee'" in dataset.problems.summary()


@pytest.mark.parametrize(
    ("corners", "kind", "left"),
    [
        ((5, 5, 5, 9), "zero_area", None),
        ((5, 5, 5, 5), "zero_area", None),
        ((9, 5, 5, 9), "negative_size", None),
        (("nan", 5, 9, 9), "not_finite", None),
        (("", 5, 9, 9), "malformed_box", None),
        ((70, 5, 90, 9), "outside", None),
        ((50, 5, 90, 9), "clipped", [49, 4, 60, 9]),
    ],
)
def test_bad_boxes_are_counted_and_named(tmp_path, corners, kind, left):
    write_voc(tmp_path, {"x": voc_object("a", (2, 2, 9, 9)) + voc_object("a", corners)})
    dataset = load_voc(tmp_path, "train")
    assert dataset.problems.counts() == {kind: 1}
    assert dataset.problems.of_kind(kind)[0][0].endswith("x.xml, object 1")
    expected = [[1, 1, 9, 9]] + ([left] if left else [])
    np.testing.assert_array_equal(dataset.records[0].boxes, expected)


def test_unusable_files_are_refused_together(tmp_path):
    write_voc(tmp_path, {name: voc_object("a", (2, 2, 9, 9)) for name in "uvwx"})
    (tmp_path / "Annotations" / "u.xml").write_text("<annotation><object>")
    (tmp_path / "Annotations" / "v.xml").unlink()
    (tmp_path / "JPEGImages" / "w.jpg").unlink()
    with pytest.raises(DataError, match="3 found") as caught:
        load_voc(tmp_path, "train")
    for name in ("u.xml", "v.xml", "w.jpg"):
        assert name in str(caught.value)
    dataset = load_voc(tmp_path, "train", max_bad_images=3)
    assert [record.image_id for record in dataset.records] == ["x"]
    assert len(dataset.problems) == 3


def test_entities_are_not_expanded(tmp_path):
    write_voc(tmp_path, {"x": voc_object("a", (2, 2, 9, 9)), "y": ""})
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbb">]><annotation><name>&b;</name></annotation>'
    (tmp_path / "Annotations" / "y.xml").write_text(bomb)
    with pytest.raises(DataError, match=r"y\.xml"):
        load_voc(tmp_path, "train")


def test_size_is_read_from_the_file_when_it_is_not_annotated(tmp_path):
    write_voc(tmp_path, {"x": ""})
    xml = f"<annotation>{voc_object('a', (2, 2, 9, 9))}</annotation>"
    (tmp_path / "Annotations" / "x.xml").write_text(xml)
    dataset = load_voc(tmp_path, "train")
    assert (dataset.records[0].height, dataset.records[0].width) == (40, 60)
    assert dataset.problems.counts() == {"unknown_size": 1}


def test_wrong_folders_and_splits_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Received: root="):
        load_voc(tmp_path, "train")
    write_voc(tmp_path, {"x": voc_object("a", (2, 2, 9, 9))})
    with pytest.raises(FileNotFoundError, match=r"splits here: \['train'\]"):
        load_voc(tmp_path, "test")
    (tmp_path / "ImageSets" / "Main" / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="names no image"):
        load_voc(tmp_path, "empty")
    (tmp_path / "ImageSets" / "Main" / "twice.txt").write_text("x 1\nx -1\n")
    with pytest.raises(DataError, match="more than once"):
        load_voc(tmp_path, "twice")


def test_missing_paths_say_what_was_tried_and_what_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"(?s)Tried: .*Annotations\n  In .*: nothing"):
        load_voc(tmp_path / "VOC2007", "train")
    write_voc(tmp_path, {"x": voc_object("a", (2, 2, 9, 9))})
    with pytest.raises(FileNotFoundError, match=r"(?s)Tried: .*test\.txt\n  In .*: train\.txt"):
        load_voc(tmp_path, "test")
    (tmp_path / "JPEGImages" / "x.jpg").rename(tmp_path / "JPEGImages" / "x.JPGE")
    with pytest.raises(DataError, match=r"(?s)1 found.*In .*JPEGImages: x\.JPGE"):
        load_voc(tmp_path, "train")
