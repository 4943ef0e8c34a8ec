"""Annotations as they come: each with what becomes of it. Also the source of a Markdown table."""

import copy
import json
from typing import NamedTuple

SIZE = (40, 60)
GOOD_BOX = [5, 6, 20, 30]


class Coco(NamedTuple):
    """A COCO file.

    Args:
        what: str, the input.
        outcome: `"accepted"`, `"refused"`, or the kind under which it is counted.
        detail: str, what becomes of it; of what is refused, a pattern of the message.
        change: function that changes a sound content in place, or returns the text of the file.
        boxes: how many boxes of the first image remain.
    """

    what: str
    outcome: str
    detail: str
    change: object
    boxes: int = 1


SOUND = {
    "images": [
        {"id": i, "file_name": f"{i}.jpg", "height": SIZE[0], "width": SIZE[1]} for i in (1, 2)
    ],
    "annotations": [
        {"id": i, "image_id": i, "category_id": 3, "bbox": GOOD_BOX, "iscrowd": 0} for i in (1, 2)
    ],
    "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
}


def text_of(case):
    content = copy.deepcopy(SOUND)
    text = case.change(content)
    return text if isinstance(text, str | bytes) else json.dumps(content)


def adding(**entry):
    """Adds an annotation to the first image."""

    def change(content):
        sound = {"id": 9, "image_id": 1, "category_id": 7, "bbox": GOOD_BOX, "iscrowd": 0}
        content["annotations"].append({**sound, **entry})

    return change


def without(part, key):
    def change(content):
        del content[part][0][key]

    return change


def setting(part, **values):
    return lambda content: content[part][0].update(values)


def replacing(**parts):
    return lambda content: content.update(parts)


RLE = {"size": list(SIZE), "counts": "PPYo0" * 9}

COCO = [
    Coco(
        "byte order mark", "accepted", "ignored", lambda c: b"\xef\xbb\xbf" + json.dumps(c).encode()
    ),
    Coco("no annotations", "accepted", "image without boxes", replacing(annotations=[]), 0),
    Coco("crowd only", "accepted", "marked as crowd", setting("annotations", iscrowd=1)),
    Coco("segmentation as RLE", "accepted", "ignored", adding(segmentation=RLE, area=7.0), 2),
    Coco("polygon with NaN", "accepted", "ignored", adding(segmentation=[[float("nan")]]), 2),
    Coco("ids of annotations twice", "accepted", "numbered anew", adding(id=1), 2),
    Coco("unknown keys", "accepted", "ignored", adding(score=1, keypoints=[1]), 2),
    Coco("numbers as text", "accepted", "read as numbers", adding(bbox=["5", "6", "7", "8.5"]), 2),
    Coco("area that is no number", "accepted", "area of the box", adding(area="big"), 2),
    Coco("area of 1e300", "accepted", "area of the box", adding(area=1e300), 2),
    Coco("area of 400 digits", "accepted", "area of the box", adding(area=10**400), 2),
    Coco("width missing", "unknown_size", "read from the file", without("images", "width")),
    Coco("width is text", "unknown_size", "read from the file", setting("images", width="60")),
    Coco("width of 400 digits", "unknown_size", "from the file", setting("images", width=10**400)),
    Coco("width negative", "unknown_size", "read from the file", setting("images", width=-60)),
    Coco("bbox of 3 numbers", "malformed_box", "skipped", adding(bbox=[1, 2, 3])),
    Coco("bbox missing", "malformed_box", "skipped", adding(bbox=None)),
    Coco("bbox is text", "malformed_box", "skipped", adding(bbox="1234")),
    Coco("bbox of lists", "malformed_box", "skipped", adding(bbox=[[1], [2], [3], [4]])),
    Coco("bbox with 400 digits", "malformed_box", "skipped", adding(bbox=[1, 2, 3, 10**400])),
    Coco("annotation is a list", "malformed_box", "skipped", replacing(annotations=[[1], 2]), 0),
    Coco("NaN in bbox", "not_finite", "skipped", adding(bbox=[1, 2, 3, float("nan")])),
    Coco("infinite bbox", "not_finite", "skipped", adding(bbox=[1, 2, float("inf"), 4])),
    Coco("sum beyond float64", "not_finite", "skipped", adding(bbox=[1.7e308, 2, 1.7e308, 4])),
    Coco("negative width", "negative_size", "skipped", adding(bbox=[9, 9, -4, 4])),
    Coco("zero area", "zero_area", "skipped", adding(bbox=[9, 9, 0, 4])),
    Coco("outside of the image", "outside", "skipped", adding(bbox=[60, 9, 4, 4])),
    Coco("partly outside", "clipped", "clipped to the image", adding(bbox=[50, 9, 40, 4]), 2),
    Coco("iscrowd of 2", "malformed_crowd", "taken as 0", adding(iscrowd=2), 2),
    Coco("iscrowd is text", "malformed_crowd", "taken as 0", adding(iscrowd="0"), 2),
    Coco("category not listed", "unknown_category", "skipped", adding(category_id=99)),
    Coco("category id is a list", "unknown_category", "skipped", adding(category_id=[3])),
    Coco("category id is true", "unknown_category", "skipped", adding(category_id=True)),
    Coco("image not listed", "unknown_image", "skipped", adding(image_id=77)),
    Coco("image id is a dict", "unknown_image", "skipped", adding(image_id={})),
    Coco("image file missing", "missing_image", "image left out", setting("images", file_name="x")),
    Coco(
        "terminal commands in a name",
        "missing_image",
        "image left out, name escaped",
        setting("images", file_name="\x1b[2J.jpg"),
    ),
    Coco(
        "half a character in a name",
        "missing_image",
        "image left out, name escaped",
        setting("images", file_name="\ud800.jpg"),
    ),
    Coco("cut off", "refused", "not valid JSON", lambda c: json.dumps(c)[:-9]),
    Coco("no UTF-8", "refused", "not valid JSON", lambda c: b"\xff\xfe{"),
    Coco("empty", "refused", "not valid JSON", lambda c: ""),
    Coco("100,000 brackets deep", "refused", "not valid JSON", lambda c: "[" * 100_000),
    Coco("number of 5000 digits", "refused", "not valid JSON", lambda c: "1" * 5000),
    Coco("a list", "refused", "needs the lists", lambda c: "[]"),
    Coco("annotations is a dict", "refused", "needs the lists", replacing(annotations={})),
    Coco("no categories", "refused", "categories is empty", replacing(categories=[])),
    Coco("category ids twice", "refused", "repeats the id", setting("categories", id=7)),
    Coco("category names twice", "refused", "repeats the name", setting("categories", name="dog")),
    Coco("category id is text", "refused", r"categories\[0\]", setting("categories", id="3")),
    Coco("category id of 400 digits", "refused", "integer", setting("categories", id=10**400)),
    Coco("category name is a number", "refused", "'name'", setting("categories", name=5)),
    Coco("category name empty", "refused", "printable", setting("categories", name=" ")),
    Coco("line break in a name", "refused", "printable", setting("categories", name="a\nb")),
    Coco("half a character", "refused", "printable", setting("categories", name="\ud800")),
    Coco("image ids twice", "refused", "repeats the id", setting("images", id=2)),
    Coco("image id is a list", "refused", r"images\[0\] needs", setting("images", id=[1])),
    Coco("image id is true", "refused", r"images\[0\] needs", setting("images", id=True)),
    Coco("file name missing", "refused", r"images\[0\] needs", without("images", "file_name")),
    Coco("file name is a number", "refused", r"images\[0\] needs", setting("images", file_name=1)),
    Coco("image is no dict", "refused", r"images\[0\] needs", replacing(images=[[]])),
]


class Voc(NamedTuple):
    """A VOC file; as `Coco`, and `xml` is what it holds inside the root or the whole file."""

    what: str
    outcome: str
    detail: str
    xml: object
    boxes: int = 1


SIZE_XML = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height></size>"


def corners(*values, name="cat"):
    keys = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, values))
    return f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"


GOOD = corners(5, 6, 20, 30)


def whole(body, before="", size=SIZE_XML):
    return f"{before}<annotation>{size}{body}</annotation>"


def laughs(depth=9):
    entities = "".join(
        f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' if i else '<!ENTITY l0 "lol">'
        for i in range(depth + 1)
    )
    return f"<!DOCTYPE a [{entities}]>"


BAD_XML = "malformed_annotation"
ENTITY = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
DTD = '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">'
QUADRATIC = f'<!DOCTYPE a [<!ENTITY x "{"x" * 1000}">]>'

VOC = [
    Voc("size missing", "unknown_size", "read from the file", whole(GOOD, size="")),
    Voc(
        "size is text",
        "unknown_size",
        "read from the file",
        whole(GOOD, size="<size><width>a</width><height>b</height></size>"),
    ),
    Voc("coordinates with decimals", "accepted", "read", whole(corners(5.5, 6.25, 20, 30.75))),
    Voc("no objects", "accepted", "image without boxes", whole(""), 0),
    Voc("byte order mark", "accepted", "ignored", whole(GOOD).encode("utf-8-sig")),
    Voc("UTF-16", "accepted", "read as declared", whole(GOOD).encode("utf-16")),
    Voc("line break in a name", "accepted", "a space", whole(corners(5, 6, 9, 9, name=" cat\n"))),
    Voc("counted from 0", "clipped", "first pixel", whole(corners(0, 0, 20, 30))),
    Voc("minimum and maximum swapped", "negative_size", "skipped", whole(corners(20, 30, 5, 6)), 0),
    Voc("one corner twice", "zero_area", "skipped", whole(corners(5, 6, 5, 6)), 0),
    Voc("NaN", "not_finite", "skipped", whole(corners("nan", 6, 20, 30)), 0),
    Voc("outside of the image", "outside", "skipped", whole(corners(70, 6, 90, 30)), 0),
    Voc("coordinate is text", "malformed_box", "skipped", whole(corners("a", 6, 20, 30)), 0),
    Voc("coordinate missing", "malformed_box", "skipped", whole(corners(5, 6, 20)), 0),
    Voc("class not listed", "unknown_category", "skipped", whole(corners(1, 2, 3, 4, name="x")), 0),
    Voc("class missing", "unknown_category", "skipped", whole("<object/>"), 0),
    Voc("cut off", BAD_XML, "image left out", whole(GOOD)[:-9]),
    Voc("empty", BAD_XML, "image left out", ""),
    Voc("no XML", BAD_XML, "image left out", "5 6 20 30 cat"),
    Voc("unknown encoding", BAD_XML, "left out", whole(GOOD, '<?xml version="1.0" encoding="x"?>')),
    Voc("entity expansion (billion laughs)", BAD_XML, "left out", whole("&l9;", laughs())),
    Voc("quadratic expansion", BAD_XML, "left out", whole("&x;" * 1000, QUADRATIC)),
    Voc("external entity", BAD_XML, "left out, nothing read", whole("<name>&x;</name>", ENTITY)),
    Voc("external DTD", "accepted", "not fetched", whole(GOOD, DTD)),
    Voc("50,000 elements deep", "accepted", "read", whole("<a>" * 50_000 + "</a>" * 50_000), 0),
    Voc("annotation file missing", "missing_annotation", "image left out", None),
]


def rows():
    """Rows of the table: source, input, outcome."""
    for source, cases in (("COCO", COCO), ("VOC", VOC)):
        for case in cases:
            outcome = {"accepted": f"accepted: {case.detail}", "refused": "refused, named"}
            counted = f"{case.detail}, counted (`{case.outcome}`)"
            yield source, case.what, outcome.get(case.outcome, counted)
