"""Data sets written as COCO files and read back, here and by pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from detection.data import (
    DataError,
    DetectionDataset,
    Record,
    coco_content,
    extract_images,
    load_coco,
    load_csv,
    load_voc,
    load_yolo,
)
from tests.detection.data.helpers import some_boxes, voc_object, write_coco, write_image, write_voc
from tests.detection.data.test_csv import write
from tests.detection.data.test_yolo import write_yolo


def of_voc(folder):
    xml = voc_object("dog", (1, 1, 60, 40)) + voc_object("cat", (11, 6, 20, 30), difficult=1)
    write_voc(folder, {"x": xml, "y": ""})
    return load_voc(folder, "train"), ["x.jpg", "y.jpg"]


def of_yolo(folder):
    write_yolo(folder, {"b": "1 0.1 0.3 0.123457 0.1\n0 0.3 0.3 0.1 0.1", "a": None})
    return load_yolo(folder), ["a.jpg", "b.jpg"]


def of_csv(folder):
    (folder / "photos").mkdir(parents=True)
    for name in ("1.jpg", "photos/2.jpg"):
        write_image(folder / name, (40, 60))
    text = "1.jpg,1.1,2.2,30.3,30.4,b\nphotos/2.jpg,,,,,\n1.jpg,3,4,5.5,6.75,a\n"
    return load_csv(write(folder, text)), ["1.jpg", "photos/2.jpg"]


def of_coco(folder):
    files = write_coco(folder, [(40, 60)] * 2, lambda i: some_boxes(3, (40, 60), i))
    content = json.loads(files[1].read_text())
    content["annotations"][1].update(iscrowd=1, area=12.5)
    files[1].write_text(json.dumps(content))
    return load_coco(*files), ["000001.jpg", "000002.jpg"]


@pytest.mark.parametrize("make", [of_voc, of_yolo, of_csv, of_coco])
def test_what_is_written_is_read_back(tmp_path, make):
    dataset, names = make(tmp_path / "set")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    content, images_dir = coco_content(dataset)
    assert [image["file_name"] for image in content["images"]] == names
    path = tmp_path / "out.json"
    path.write_text(json.dumps(content, allow_nan=False))
    again = load_coco(images_dir, path)
    assert again.categories == dataset.categories and len(again.problems) == 0
    assert {p: p.read_bytes() for p in before} == before
    for old, new in zip(dataset.records, again.records, strict=True):
        assert (old.image_path, old.height, old.width) == (new.image_path, new.height, new.width)
        for name in ("boxes", "classes", "is_crowd", "difficult", "areas"):
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name))
        assert new.image_id == (old.image_id if make is of_coco else new.image_id)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(str(path))
    boxes = [len(reference.getAnnIds(imgIds=[i])) for i in sorted(reference.getImgIds())]
    assert boxes == [len(record.boxes) for record in dataset.records]
    assert all(type(number) is int for number in reference.getImgIds())


def test_the_folder_of_the_images(tmp_path):
    dataset, _ = of_csv(tmp_path / "set")
    content, _ = coco_content(dataset, tmp_path)
    assert content["images"][1]["file_name"] == "set/photos/2.jpg"
    with pytest.raises(DataError, match=r"1\.jpg is not in the folder"):
        coco_content(dataset, tmp_path / "set" / "photos")
    assert coco_content(dataset.subset([]))[0]["images"] == []


def in_one_file(folder):
    """Two images, a JPEG and a PNG, inside one file."""
    parts, records = [b"header"], []
    for number, ending in enumerate(("JPEG", "PNG")):
        stream = io.BytesIO()
        Image.new("RGB", (60, 40), (9 * number, 9, 9)).save(stream, ending)
        place = (sum(map(len, parts)), len(stream.getvalue()))
        parts.append(stream.getvalue())
        path = str(folder / "shard")
        box = [[1, 2, 3, 4]]
        records.append(Record(path, f"id{number}", 40, 60, box, [0], byte_range=place))
    (folder / "shard").write_bytes(b"".join(parts))
    return DetectionDataset("shard", of_csv(folder)[0].categories, records), parts[1:]


def test_images_inside_files_are_extracted(tmp_path):
    dataset, parts = in_one_file(tmp_path)
    with pytest.raises(DataError, match="--extract FOLDER"):
        coco_content(dataset)
    copies = extract_images(dataset, tmp_path / "new")
    names = ["000001.jpg", "000002.png"]
    assert [(tmp_path / "new" / name).read_bytes() for name in names] == parts
    content, images_dir = coco_content(copies)
    assert [image["file_name"] for image in content["images"]] == names
    assert images_dir == str(tmp_path / "new")
    with pytest.raises(DataError, match="must be empty"):
        extract_images(dataset, tmp_path / "new")


def test_difficult_beside_other_values(tmp_path):
    flags = [1, 0, None, True, "1", [1], 10**400, 1.0]
    boxes = [(3, [i, 5, 9, 9]) for i in range(len(flags))]
    for more in ([], [(3, [1, 2])]):  # All at once; and one by one, after what is malformed.
        files = write_coco(tmp_path, [(40, 60)], lambda i, more=more: boxes + more)
        content = json.loads(files[1].read_text())
        for entry, flag in zip(content["annotations"], flags):
            entry["difficult"] = flag
        files[1].write_text(json.dumps(content))
        (record,) = load_coco(*files).records
        assert record.difficult.tolist() == [True] + [False] * 7
