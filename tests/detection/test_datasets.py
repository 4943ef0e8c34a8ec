"""Opening what a configuration names, and the errors when it cannot be used."""

import json

import numpy as np
import pytest
from PIL import Image

from detection.config import DataConfig
from detection.data import DataError
from detection.datasets import open_dataset, plain_data_errors
from tests.detection.coco_folder import coco_settings, write_coco


def configured(folder, **options):
    return DataConfig(**coco_settings(folder, folder), **options)


def test_coco(tmp_path):
    folder = write_coco(tmp_path / "set", 4)
    dataset = open_dataset(configured(folder), "val")
    content = json.loads((folder / "annotations.json").read_text())
    assert [record.image_id for record in dataset.records] == [101, 102, 103, 104]
    assert [category.id for category in dataset.categories] == [3, 7, 9]
    boxes = np.concatenate([record.boxes for record in dataset.records])
    expected = np.array([entry["bbox"] for entry in content["annotations"]])
    expected[:, 2:] += expected[:, :2]
    np.testing.assert_allclose(boxes, expected)


def test_shapes_are_made_once(tmp_path):
    sizes = {"num_train": 3, "num_val": 2, "image_size": 64, "seed": 1}
    config = DataConfig(format="shapes", root=str(tmp_path / "shapes"), shapes=sizes)
    assert len(open_dataset(config, "train")) == 3
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "shapes").rglob("*")}
    assert len(open_dataset(config, "val")) == 2
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "shapes").rglob("*")} == times


def write_voc(root, names=("a", "b")):
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for name in names:
        Image.new("RGB", (40, 30)).save(root / "JPEGImages" / f"{name}.jpg")
        box = "<xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>10</ymax>"
        (root / "Annotations" / f"{name}.xml").write_text(
            "<annotation><size><width>40</width><height>30</height></size>"
            f"<object><name>cell</name><bndbox>{box}</bndbox></object></annotation>"
        )
    (root / "ImageSets" / "Main" / "train.txt").write_text("\n".join(names))
    return DataConfig(format="voc", root=str(root), train={"split": "train"})


def test_voc(tmp_path):
    dataset = open_dataset(write_voc(tmp_path / "voc"), "train")
    assert dataset.class_names == ("cell",)
    np.testing.assert_array_equal(dataset.records[1].boxes, [[0, 0, 20, 10]])


def test_malformed_voc_is_named(tmp_path):
    config = write_voc(tmp_path / "voc")
    path = tmp_path / "voc" / "Annotations" / "b.xml"
    path.write_text(path.read_text()[:60])
    with pytest.raises(ValueError, match=r"b\.xml: image id 'b'"):
        open_dataset(config, "train")
    dataset = open_dataset(config.model_copy(update={"max_bad_images": 1}), "train")
    assert [record.image_id for record in dataset.records] == ["a"]
    assert "b.xml" in dataset.summary()
    path.unlink()
    with pytest.raises(ValueError, match=r"b\.xml.*without their annotation file"):
        open_dataset(config, "train")


@pytest.mark.parametrize(
    "settings, key",
    [
        ({"format": "coco"}, "data.val.images"),
        ({"format": "coco", "val": {"images": "x"}}, "data.val.annotations"),
        ({"format": "voc"}, "data.root"),
        ({"format": "voc", "root": "x"}, "data.val.split"),
        ({"format": "tfds"}, "data.name"),
        ({"format": "tfds", "name": "voc/2007"}, "data.val.split"),
        ({"format": "shapes"}, "data.root"),
    ],
)
def test_missing_keys_are_named(settings, key):
    with pytest.raises(ValueError, match=f"`{key}` is needed .*--set {key}="):
        open_dataset(DataConfig(**settings), "val")


def break_images(folder):
    """One image missing, one no image, one of another size; returns their paths."""
    paths = [folder / "images" / f"picture_{i}.png" for i in (101, 102, 103)]
    paths[0].unlink()
    paths[1].write_text("no picture")
    Image.new("RGB", (50, 60)).save(paths[2])
    return paths


def test_unusable_images_are_refused_or_left_out_and_counted(tmp_path):
    folder = write_coco(tmp_path / "set", 5)
    paths = break_images(folder)
    with pytest.raises(DataError) as caught:
        open_dataset(configured(folder), "train")
    assert str(paths[0]) in str(caught.value) and "101" in str(caught.value)
    # What the reader finds missing and what the check finds count together.
    with pytest.raises(DataError) as caught:
        open_dataset(configured(folder, max_bad_images=2), "train")
    assert "3 found, 2 allowed" in str(caught.value)
    for path, image_id in zip(paths[1:], (102, 103)):
        assert f"{path}: image id {image_id}" in str(caught.value)
    assert "50 x 60 in the file, 96 x 96 annotated" in str(caught.value)

    dataset = open_dataset(configured(folder, max_bad_images=3), "train")
    assert [record.image_id for record in dataset.records] == [104, 105]
    summary = dataset.summary()
    assert all(str(path) in summary for path in paths)


def test_truncated_images_are_found_by_decoding(tmp_path):
    folder = write_coco(tmp_path / "set", 3)
    path = folder / "images" / "picture_102.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), "uint8")
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    file = folder / "annotations.json"
    file.write_text(file.read_text().replace("picture_102.png", "picture_102.jpg"))
    assert len(open_dataset(configured(folder), "train")) == 3
    with pytest.raises(DataError, match=f"{path}: image id 102"):
        open_dataset(configured(folder, verify="decode"), "train")
    kept = open_dataset(configured(folder, verify="decode", max_bad_images=1), "train")
    assert [record.image_id for record in kept.records] == [101, 103]
    with pytest.raises(DataError, match=f"{path} does not decode"):
        open_dataset(configured(folder, verify="off"), "train").read(1)


def test_boxes_are_counted_never_dropped_silently(tmp_path):
    def edit(content):
        boxes = [[5, 5, 0, 9], [float("nan"), 1, 2, 3], [200, 5, 9, 9], [90, 90, 20, 20], [1, 2]]
        for number, box in enumerate(boxes):
            entry = {"id": 900 + number, "image_id": 101, "category_id": 3, "bbox": box}
            content["annotations"].append(entry)
        for number, (image, category) in enumerate([(101, 4), (7, 3)]):
            entry = {"id": 950 + number, "image_id": image, "category_id": category}
            content["annotations"].append({**entry, "bbox": [1, 1, 5, 5]})

    clean = open_dataset(configured(write_coco(tmp_path / "clean", 2)), "train")
    dataset = open_dataset(configured(write_coco(tmp_path / "set", 2, edit=edit)), "train")
    np.testing.assert_array_equal(dataset.records[0].boxes, [[90, 90, 96, 96]])
    np.testing.assert_array_equal(dataset.records[1].boxes, clean.records[1].boxes)
    kinds = "zero_area not_finite outside clipped malformed_box unknown_category unknown_image"
    assert dataset.problems.counts() == dict.fromkeys(kinds.split(), 1)
    summary = dataset.summary()
    for annotation in (900, 901, 902, 903, 904, 950, 951):
        assert f"annotation {annotation}" in summary


def test_errors_inside_a_pipeline_are_unwrapped():
    text = "UnknownError: {{node x}} DataError: The image a.jpg is bad: cut.\nTraceback: ..."
    with (
        pytest.raises(DataError, match=r"^The image a\.jpg is bad: cut\. Set") as e,
        plain_data_errors(),
    ):
        raise RuntimeError(text)
    assert "Traceback" not in str(e.value) and "data.verify=decode" in str(e.value)
    with pytest.raises(RuntimeError, match="something else"), plain_data_errors():
        raise RuntimeError("something else")
    with pytest.raises(DataError, match="of several\nlines"), plain_data_errors():
        raise DataError("of several\nlines")
    # As the pipeline without TensorFlow raises it.
    with (
        pytest.raises(DataError, match=r"^The image a\.jpg is bad: cut\. Set"),
        plain_data_errors(),
    ):
        raise DataError("The image a.jpg is bad: cut.")


def test_without_any_image_it_says_what_is_in_the_folder(tmp_path):
    folder = write_coco(tmp_path / "set", 2)
    settings = coco_settings(folder, folder)
    for split in ("train", "val"):
        settings[split]["images"] = str(folder)
    with pytest.raises(DataError, match=r"has no images[\s\S]*In .*: annotations\.json, images/"):
        open_dataset(DataConfig(**settings, max_bad_images=9), "train")
