"""COCO files as Label Studio and CVAT write them, each in the form in which it comes."""

import json

import numpy as np
import pytest

from detection.data import DataError, load_coco
from detection.data.foreign_names import find_files, other_names
from detection.data.named_files import NamedFiles
from tests.detection.data.helpers import write_image

SIZE = (40, 60)

LABEL_STUDIO = """{
  "images": [
    {"width": 60, "height": 40, "id": 0, "file_name": "%s"},
    {"width": 60, "height": 40, "id": 1, "file_name": "%s"}
  ],
  "categories": [{"id": 0, "name": "Airplane"}, {"id": 1, "name": "Car"}],
  "annotations": [
    {"id": 0, "image_id": 0, "category_id": 1, "segmentation": [],
     "bbox": [5.0, 6.0, 20.0, 30.0], "ignore": 0, "iscrowd": 0, "area": 600.0},
    {"id": 1, "image_id": 1, "category_id": 0, "segmentation": [[1, 2, 11, 2, 11, 22]],
     "bbox": [1, 2, 10, 20], "ignore": 0}
  ],
  "info": {"year": 2024, "version": "1.0", "description": "", "contributor": "Label Studio",
           "url": "", "date_created": "2024-05-05 10:11:12.131415"}
}"""

UPLOADS = ("cb0618f6-first.jpg", "90fbb0c7-second.jpg")
WAYS = [
    "{}",
    "images/{}",
    "images\\{}",
    "images\\1/{}",
    "images/1/{}",
    "/data/upload/4/{}",
    "..\\..\\label-studio\\label-studio\\media\\upload\\4\\{}",
    "../../label-studio/data/media/upload/4/{}",
    "/data/local-files/?d=photos/{}",
    "http://localhost:8080/data/upload/4/{}",
    "s3://bucket/photos/{}",
]


def write_export(folder, text, names, annotations="result.json", images="images"):
    path = folder / annotations
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for seed, name in enumerate(names):
        (folder / images / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / images / name, SIZE, seed)
    return folder / "images", path


def check(dataset, names):
    first, second = dataset.records
    assert [record.image_path.rsplit("/")[-1] for record in dataset.records] == list(names)
    np.testing.assert_array_equal(first.boxes, [[5, 6, 25, 36]])
    np.testing.assert_array_equal(second.boxes, [[1, 2, 11, 22]])
    assert (first.areas.tolist(), second.areas.tolist()) == ([600], [200])
    assert dataset.class_names[first.classes[0]] == "Car"
    assert dataset.class_names[second.classes[0]] == "Airplane"


@pytest.mark.parametrize("way", WAYS)
def test_label_studio(tmp_path, way):
    names = [json.dumps(way.format(name))[1:-1] for name in UPLOADS]
    files = write_export(tmp_path, LABEL_STUDIO % tuple(names), UPLOADS)
    dataset = load_coco(*files)
    check(dataset, UPLOADS)
    assert [(c.id, c.name) for c in dataset.categories] == [(0, "Airplane"), (1, "Car")]
    expected = {} if way == "{}" else {"found_elsewhere": 2}
    assert dataset.problems.counts() == expected


def test_label_studio_without_its_images(tmp_path):
    """The JSON alone, beside the photographs as they were before the upload."""
    text = LABEL_STUDIO % tuple(f"images/{name}" for name in UPLOADS)
    names = [name[9:] for name in UPLOADS]
    files = write_export(tmp_path, text, names)
    check(load_coco(*files), names)


def test_percent_signs_in_urls(tmp_path):
    text = LABEL_STUDIO % ("https://host/a%20b.jpg?X-Amz-Date=1", "gs://bucket/c.jpg")
    check(load_coco(*write_export(tmp_path, text, ("a b.jpg", "c.jpg"))), ("a b.jpg", "c.jpg"))


CVAT = """{
  "licenses": [{"name": "", "id": 0, "url": ""}],
  "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "",
           "year": ""},
  "categories": [{"id": 1, "name": "Airplane", "supercategory": ""},
                 {"id": 2, "name": "Car", "supercategory": ""}],
  "images": [
    {"id": 1, "width": 60, "height": 40, "file_name": "%s", "license": 0, "flickr_url": "",
     "coco_url": "", "date_captured": 0},
    {"id": 2, "width": 60, "height": 40, "file_name": "%s", "license": 0, "flickr_url": "",
     "coco_url": "", "date_captured": 0}
  ],
  "annotations": [
    {"id": 1, "image_id": 1, "category_id": 2, "segmentation": [], "area": 600.0,
     "bbox": [5.0, 6.0, 20.0, 30.0], "iscrowd": 0,
     "attributes": {"occluded": false, "rotation": 0.0}},
    {"id": 2, "image_id": 2, "category_id": 1,
     "segmentation": {"counts": [2, 800, 1598], "size": [40, 60]}, "area": 200.0,
     "bbox": [1.0, 2.0, 10.0, 20.0], "iscrowd": 1, "attributes": {"occluded": false}}
  ]
}"""


@pytest.mark.parametrize(
    ("names", "images"),
    [
        (("a.jpg", "b.jpg"), "images"),
        (("a.jpg", "b.jpg"), "images/default"),
        (("day1/a.jpg", "day2/a.jpg"), "images"),
        (("day1/a.jpg", "day2/a.jpg"), "images/default"),
    ],
)
def test_cvat(tmp_path, names, images):
    where = "annotations/instances_default.json"
    dataset = load_coco(*write_export(tmp_path, CVAT % names, names, where, images))
    check(dataset, [name.rsplit("/")[-1] for name in names])
    assert dataset.records[0].image_path != dataset.records[1].image_path
    assert dataset.records[1].is_crowd.tolist() == [True]
    expected = {} if images == "images" else {"found_elsewhere": 2}
    assert dataset.problems.counts() == expected


def test_a_file_is_taken_for_one_name_only(tmp_path):
    """`day2/a.jpg` is not there; the `a.jpg` that is there is another image's."""
    for listed in (("a.jpg", "day2/a.jpg"), ("day1/a.jpg", "day2/a.jpg")):
        files = write_export(tmp_path, CVAT % listed, ["a.jpg"])
        with pytest.raises(DataError, match=r"a\.jpg is there, and another name means it, too"):
            load_coco(*files)
    # The same image listed twice, as after work of two people.
    files = write_export(tmp_path, CVAT % ("images/a.jpg", "images/a.jpg"), ["a.jpg"])
    assert len(load_coco(*files)) == 2


def test_what_is_missing_says_what_was_tried_and_what_is_there(tmp_path):
    files = write_export(tmp_path, CVAT % ("upload/1/a.jpg", "b.jpg"), ["b.jpg", "c.jpg"])
    with pytest.raises(DataError) as caught:
        load_coco(*files)
    text = str(caught.value)
    assert "upload/1/a.jpg: image id 1, also looked for as 1/a.jpg, a.jpg (images that" in text
    assert text.endswith(f"In {files[0]}: b.jpg, c.jpg")
    with pytest.raises(FileNotFoundError, match=r"(?s)Tried: .*imgs\n.*In .*images/, result\.json"):
        load_coco(tmp_path / "imgs", files[1])
    with pytest.raises(FileNotFoundError, match=r"(?s)Tried: .*r\.json\n.*In .*: images/, result"):
        load_coco(files[0], tmp_path / "r.json")


def test_other_names_stay_inside_and_are_few():
    for name in (
        "../../etc/passwd",
        "file:///etc/passwd",
        "C:\\a\\b.jpg",
        "//x/y",
        "..",
        "http://[",
    ):
        for other in other_names(name, ("default",)):
            assert not other.startswith("/") and ".." not in other.split("/")
    assert other_names("..") == other_names("") == other_names(".") == []
    assert len(other_names("a/" * 5000 + "b", ("c",))) <= 17
    assert other_names("x/cb0618f6-a.jpg") == ["cb0618f6-a.jpg", "a.jpg"]


def test_links_that_lead_out_are_not_followed(tmp_path):
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "secret.jpg", SIZE)
    (tmp_path / "images" / "secret.jpg").symlink_to(tmp_path / "secret.jpg")
    (found,) = find_files(NamedFiles(str(tmp_path / "images")), ["../secret.jpg"])
    assert found.kind == "outside_folder" and not found.elsewhere
