"""A small sample set in COCO's format, and what can be planted into a copy of it."""

import json
import shutil

from PIL import Image

from detection import load_config


def settings_of(folder, *more):
    """Overrides that make the quickstart read the data set in a folder."""
    return [
        "data.format=coco",
        "data.root=null",
        *(f"data.{split}.images={folder / split}" for split in ("train", "val")),
        *(f"data.{split}.annotations={annotations(folder, split)}" for split in ("train", "val")),
        *more,
    ]


def config_of(folder, *more):
    return load_config("quickstart", settings_of(folder, *more))


def annotations(folder, split="train"):
    return folder / "annotations" / f"instances_{split}.json"


def edit(folder, change, split="train"):
    """Applies a function to the annotations of a split."""
    path = annotations(folder, split)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def add_box(folder, bbox, category=1, image=1, split="train"):
    def change(content):
        content["annotations"].append(
            {
                "id": 9001,
                "image_id": image,
                "category_id": category,
                "bbox": list(bbox),
                "area": abs(bbox[2] * bbox[3]),
                "iscrowd": 0,
            }
        )

    edit(folder, change, split)


def add_category(folder, name):
    """Lists one more class in both splits and returns its id."""

    def change(content):
        number = 1 + max(row["id"] for row in content["categories"])
        content["categories"].append({"id": number, "name": name})

    for split in ("train", "val"):
        edit(folder, change, split)
    return json.loads(annotations(folder).read_text())["categories"][-1]["id"]


def first_box(folder, split="train"):
    return json.loads(annotations(folder, split).read_text())["annotations"][0]


def file_of(folder, image=1, split="train"):
    return folder / split / f"{image:06d}.jpg"


def repeat_box(folder, category=None):
    """A second time the first box, of its own or of another class."""
    box = first_box(folder)
    wanted = box["category_id"] if category is None else box["category_id"] % 5 + category
    add_box(folder, box["bbox"], wanted, box["image_id"])


def copy_image(folder, source, target):
    shutil.copyfile(file_of(folder, *source), file_of(folder, *target))


def truncate(folder):
    path = file_of(folder, 2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shrink(folder):
    path = file_of(folder, 3)
    with Image.open(path) as image:
        image.resize((50, 40)).save(path)


def malformed(folder):
    add_box(folder, (5, 5, 9, 9))
    edit(folder, lambda content: content["annotations"][-1].update(bbox=[5, 5, 9]))


def only_in_val(folder):
    add_box(folder, (20, 20, 30, 30), add_category(folder, "ufo"), split="val")


# Name of the problem, how it gets there, and a part of the text that says where.
DEFECTS = {
    "zero_area": (lambda f: add_box(f, (5, 5, 0, 9)), "annotation 9001"),
    "negative_size": (lambda f: add_box(f, (50, 5, -20, 9)), "annotation 9001"),
    "not_finite": (lambda f: add_box(f, (5, float("nan"), 9, 9)), "annotation 9001"),
    "outside": (lambda f: add_box(f, (500, 5, 20, 20)), "annotation 9001"),
    "clipped": (lambda f: add_box(f, (80, 80, 60, 60)), "annotation 9001"),
    "malformed_box": (malformed, "annotation 9001"),
    "unknown_category": (lambda f: add_box(f, (5, 5, 30, 30), 99), "annotation 9001"),
    "unknown_image": (lambda f: add_box(f, (5, 5, 30, 30), image=999), "annotation 9001"),
    "missing_image": (lambda f: file_of(f, 4).unlink(), "000004.jpg"),
    "undecodable_image": (truncate, "000002.jpg"),
    "size_mismatch": (shrink, "000003.jpg"),
    "duplicate_box": (repeat_box, "000001.jpg"),
    "two_classes": (lambda f: repeat_box(f, 1), "000001.jpg"),
    "whole_image": (lambda f: add_box(f, (0, 0, 96, 96)), "000001.jpg"),
    "tiny_box": (lambda f: add_box(f, (30, 30, 2, 2)), "000001.jpg"),
    "extreme_aspect": (lambda f: add_box(f, (2, 30, 90, 6)), "000001.jpg"),
    "same_image_in_splits": (lambda f: copy_image(f, (5, "train"), (2, "val")), "val"),
    "repeated_image": (lambda f: copy_image(f, (5, "train"), (6, "train")), "000006.jpg"),
    "no_boxes": (lambda f: edit(f, lambda c: c["annotations"].clear(), "val"), "val"),
    "class_only_in_val": (only_in_val, "ufo"),
    "class_without_boxes": (lambda f: add_category(f, "unicorn"), "unicorn"),
    "similar_class_names": (lambda f: add_category(f, "Circle "), "circle"),
    "different_classes": (
        lambda f: edit(f, lambda c: c["categories"][0].update(name="ring"), "val"),
        "instances_val",
    ),
}
