"""The sample set in Pascal VOC's layout, and what can be planted into a copy of it."""

import shutil
import xml.etree.ElementTree as ElementTree

from PIL import Image

CLASSES = ("circle", "square", "triangle", "star", "cross")
_OBJECT = "<object><name>{}</name><bndbox>{}</bndbox></object>"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def settings_of(root, *more):
    """Overrides that make the configuration bccd read a copy, as large as its images are."""
    return [f"data.root={root}", "data.pipeline.min_sides=[96]", *more]


def xml_of(root, image=100):
    return root / "Annotations" / f"BloodImage_{image:05d}.xml"


def image_of(root, image=100):
    return root / "JPEGImages" / f"BloodImage_{image:05d}.jpg"


def images_of(root, split):
    """The numbers of a split's images."""
    lines = (root / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
    return [int(line.rpartition("_")[-1]) for line in lines]


def objects(root, image=100):
    """Names and corners of an image's boxes."""
    return [
        (entry.findtext("name"), [entry.findtext(f"bndbox/{key}") for key in _CORNERS])
        for entry in ElementTree.parse(xml_of(root, image)).iter("object")
    ]


def add_object(root, corners, name="circle", image=100):
    path = xml_of(root, image)
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(_CORNERS, corners))
    text = path.read_text().replace("</annotation>", f"{_OBJECT.format(name, box)}</annotation>")
    path.write_text(text)


def _repeat(root, other_class=False):
    name, corners = objects(root)[0]
    if other_class:
        name = CLASSES[CLASSES.index(name) - 1]
    add_object(root, corners, name)


def _cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _shrink(root):
    with Image.open(image_of(root)) as image:
        image.resize((50, 40)).save(image_of(root))


def _empty(root, split="test"):
    for image in images_of(root, split):
        tree = ElementTree.parse(xml_of(root, image))
        for entry in tree.findall("object"):
            tree.getroot().remove(entry)
        tree.write(xml_of(root, image))


_KNOWN = f"data.classes=[{','.join(CLASSES)}]"
_FIRST = "BloodImage_00100"
# Name of the problem, how it gets there, a part of the text that says where, more settings.
DEFECTS = {
    "zero_area": (lambda r: add_object(r, (30, 5, 30, 9)), _FIRST),
    "negative_size": (lambda r: add_object(r, (50, 5, 20, 9)), _FIRST),
    "not_finite": (lambda r: add_object(r, (5, "nan", 9, 9)), _FIRST),
    "outside": (lambda r: add_object(r, (500, 5, 520, 25)), _FIRST),
    "clipped": (lambda r: add_object(r, (80, 80, 140, 140)), _FIRST),
    "malformed_box": (lambda r: add_object(r, (5, 5, 9)), _FIRST),
    "unknown_category": (lambda r: add_object(r, (5, 5, 30, 30), "ufo"), _FIRST, _KNOWN),
    "missing_annotation": (lambda r: xml_of(r).unlink(), _FIRST),
    "malformed_annotation": (lambda r: _cut(xml_of(r)), _FIRST),
    "missing_image": (lambda r: image_of(r).unlink(), _FIRST),
    "undecodable_image": (lambda r: _cut(image_of(r)), _FIRST),
    "size_mismatch": (_shrink, _FIRST),
    "duplicate_box": (_repeat, _FIRST),
    "two_classes": (lambda r: _repeat(r, other_class=True), _FIRST),
    "whole_image": (lambda r: add_object(r, (1, 1, 96, 96)), _FIRST),
    "tiny_box": (lambda r: add_object(r, (30, 30, 31, 31)), _FIRST),
    "extreme_aspect": (lambda r: add_object(r, (3, 30, 92, 35)), _FIRST),
    "same_image_in_splits": (
        lambda r: shutil.copyfile(image_of(r), image_of(r, 7)),
        "BloodImage_00007",
    ),
    "repeated_image": (
        lambda r: shutil.copyfile(image_of(r), image_of(r, 101)),
        "BloodImage_00101",
    ),
    "no_boxes": (_empty, "val"),
    "class_only_in_val": (lambda r: add_object(r, (20, 20, 50, 50), "ufo", 7), "ufo"),
    "class_without_boxes": (
        lambda r: None,
        "unicorn",
        f"data.classes=[{','.join(CLASSES)},unicorn]",
    ),
    "similar_class_names": (lambda r: add_object(r, (5, 5, 30, 30), "Circle"), "Circle"),
}
