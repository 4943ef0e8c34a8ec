"""The CSV reader against boxes written down by hand."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.config import DataConfig
from detection.data import DataError, load_csv
from detection.data.csv_rows import COLUMNS, read_rows
from detection.datasets import open_dataset
from tests.detection.data.helpers import write_image

SIZE = (40, 60)  # Height and width.


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate("abc"):
        write_image(tmp_path / "photos" / f"{name}.jpg", SIZE, seed)
    return tmp_path


def write(folder, text, name="boxes.csv"):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(data)
    return folder / name


ROWS = "photos/a.jpg,5,6,20,30,dog\nphotos/b.jpg,,,,,\nphotos/a.jpg,0,0,60,40.5,ant\n"


def test_boxes_classes_and_ids(folder):
    dataset = load_csv(write(folder, ROWS))
    assert [record.image_id for record in dataset.records] == ["photos/a.jpg", "photos/b.jpg"]
    np.testing.assert_array_equal(dataset.records[0].boxes, [[5, 6, 20, 30], [0, 0, 60, 40]])
    assert dataset.records[0].classes.tolist() == [1, 0] and dataset.name == "boxes"
    assert [(c.id, c.name) for c in dataset.categories] == [(1, "ant"), (2, "dog")]
    assert len(dataset.records[1].boxes) == 0 and len(dataset.problems) == 0
    assert dataset.read(1)["image"].shape == (*SIZE, 3)


@pytest.mark.parametrize(
    "text",
    [
        "path,x1,y1,x2,y2,class\n" + ROWS,
        "Path, X1, Y1, X2, Y2, Class\n" + ROWS,
        ROWS.replace(",", ";"),
        ROWS.replace(",", "\t"),
        ROWS.replace("\n", "\r\n"),
        ROWS.replace(",", " , "),
        "\n" + ROWS.replace("\n", "\n\n"),
        b"\xef\xbb\xbf" + ROWS.encode(),
        ROWS.replace("photos/", "photos\\"),
        '"photos/a.jpg","5","6","20","30","dog"\nphotos/b.jpg,,,,,\n"photos/a.jpg",0,0,60,40.5,ant',
        "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        "photos/a.jpg,1,1,dog,5,6,20,30\nphotos/b.jpg,1,1,,,,,\nphotos/a.jpg,1,1,ant,0,0,60,40.5\n",
    ],
)
def test_dialects(folder, text):
    dataset = load_csv(write(folder, text))
    np.testing.assert_array_equal(dataset.records[0].boxes, [[5, 6, 20, 30], [0, 0, 60, 40]])
    assert dataset.records[0].classes.tolist() == [1, 0] and len(dataset) == 2
    assert set(dataset.problems.counts()) <= {"found_elsewhere"}


def test_the_folder_of_the_images(folder):
    path = write(folder, "a.jpg,1,2,3,4,ant\n")
    assert load_csv(path, images_dir=folder / "photos").records[0].boxes.tolist() == [[1, 2, 3, 4]]
    path = write(folder, f"{folder}/photos/a.jpg,1,2,3,4,ant\n")
    assert len(load_csv(path)) == 1


def test_given_classes_keep_their_order_and_others_are_counted(folder):
    dataset = load_csv(write(folder, ROWS), classes=("dog", "cat"))
    assert dataset.class_names == ("dog", "cat")
    assert dataset.records[0].classes.tolist() == [0]
    assert dataset.problems.of_kind("unknown_category")[0][0].endswith("boxes.csv, line 3")
    listed = write(folder, "dog,7\nant,3\n", "classes.csv")
    dataset = load_csv(write(folder, ROWS), classes=listed)
    assert [(c.id, c.name) for c in dataset.categories] == [(3, "ant"), (7, "dog")]
    assert load_csv(
        write(folder, ROWS), classes=write(folder, "dog\nant\n", "c.txt")
    ).class_names == (
        "dog",
        "ant",
    )


@pytest.mark.parametrize(
    "text",
    ["", "dog\ndog\n", "dog,0\nant,0\n", "dog,0\nant\n", "dog\nant,1\n", "dog,-1\n", "dog,x\n"],
)
def test_bad_lists_of_classes_name_their_line(folder, text):
    listed = write(folder, text, "classes.csv")
    line = "" if not text else rf", line {text.count(chr(10))}:"
    with pytest.raises(DataError, match=rf"classes\.csv{line}"):
        load_csv(write(folder, ROWS), classes=listed)


@pytest.mark.parametrize(
    ("row", "kind", "left"),
    [
        ("photos/a.jpg,5,6,5,9,ant", "zero_area", None),
        ("photos/a.jpg,9,6,5,9,ant", "negative_size", None),
        ("photos/a.jpg,nan,6,9,9,ant", "not_finite", None),
        ("photos/a.jpg,70,6,90,9,ant", "outside", None),
        ("photos/a.jpg,50,6,90,9,ant", "clipped", [50, 6, 60, 9]),
        ("photos/a.jpg,x,6,9,9,ant", "malformed_box", None),
        ("photos/a.jpg,,6,9,9,ant", "malformed_box", None),
        ("photos/a.jpg,,,,,ant", "malformed_box", None),
        ("photos/a.jpg,1,2,3,ant", "malformed_box", None),
        ("photos/a.jpg,1,2,3,4,ant,", "malformed_box", None),
        ("photos/a.jpg", "malformed_box", None),
        (",1,2,3,4,ant", "malformed_box", None),
        ("photos/a.jpg,1,2,3,4,", "unknown_category", None),
    ],
)
def test_bad_rows_are_counted_and_named(folder, row, kind, left):
    dataset = load_csv(write(folder, f"photos/a.jpg,5,6,20,30,ant\n{row}\n"))
    assert dataset.problems.counts() == {kind: 1}
    assert dataset.problems.of_kind(kind)[0][0].endswith("boxes.csv, line 2")
    expected = [[5, 6, 20, 30]] + ([left] if left else [])
    np.testing.assert_array_equal(dataset.records[0].boxes, expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (b"\xff\xfe\x00", "UTF-8"),
        ('photos/a.jpg,1,2,3,4,"ant\n', "line 1, is no CSV"),
        ("photos/a.jpg,1,2,3,4\n", "line 1: neither a header nor a row"),
        ("bild,links,oben,rechts,unten,art\n", "line 1: neither"),
        ("<annotation>", "line 1: neither"),
        ("path,x1,y1,width,height,class\n", "line 1: the header needs.*x2, y2 is missing"),
        ("path,x1,y1,x2,y2,class,label\n", "class is missing or there twice"),
        ("photos/a.jpg,,,,,\n", "no box with a class"),
        ("photos/a.jpg,1,2,3,4," + "x" * 200_000, "line 1, is no CSV"),
    ],
)
def test_what_is_no_table_of_boxes_is_refused(folder, text, words):
    with pytest.raises(DataError, match=words) as caught:
        load_csv(write(folder, text))
    assert "boxes.csv" in str(caught.value) and len(str(caught.value)) < 2000


def test_missing_files_say_what_was_tried(folder):
    write(folder, ROWS, "other.csv")
    with pytest.raises(
        FileNotFoundError, match=r"(?s)Tried: .*boxes\.csv.*In .*other\.csv, photos/"
    ):
        load_csv(folder / "boxes.csv")
    with pytest.raises(FileNotFoundError, match=r"(?s)Tried: .*fotos.*In .*other\.csv, photos/"):
        load_csv(folder / "other.csv", images_dir=folder / "fotos")
    with pytest.raises(FileNotFoundError, match=r"(?s)Tried: .*c\.txt.*In "):
        load_csv(folder / "other.csv", classes=str(folder / "c.txt"))


def test_unusable_images_are_refused_together(folder):
    (folder / "photos" / "b.jpg").write_text("no image")
    write_image(folder.parent / "outside.jpg", SIZE)
    text = ROWS + "photos/gone.jpg,1,2,3,4,ant\n../outside.jpg,1,2,3,4,ant\n"
    with pytest.raises(DataError) as caught:
        load_csv(write(folder, text))
    message = str(caught.value)
    assert "3 found, 0 allowed" in message and "b.jpg" in message
    assert "line 4: 'photos/gone.jpg' in" in message and "also looked for as gone.jpg" in message
    assert "line 5: '../outside.jpg'" in message and message.endswith("boxes.csv, photos/")
    dataset = load_csv(write(folder, text), max_bad_images=3)
    kinds = ("missing_image", "undecodable_image", "outside_folder")
    assert dataset.problems.counts() == dict.fromkeys(kinds, 1)
    assert [record.image_id for record in dataset.records] == ["photos/a.jpg"]


def test_splits_get_the_same_classes(folder):
    train = write(folder, "photos/a.jpg,5,6,20,30,dog\n", "train.csv")
    val = write(folder, "photos/b.jpg,5,6,20,30,ant\n", "val.csv")
    parts = {"train": {"annotations": str(train)}, "val": {"annotations": str(val)}}
    for split, expected in (("train", [1]), ("val", [0])):
        dataset = open_dataset(DataConfig(format="csv", **parts), split)
        assert dataset.class_names == ("ant", "dog")
        assert dataset.records[0].classes.tolist() == expected
    listed = str(write(folder, "dog\nant\n", "classes.txt"))
    dataset = open_dataset(DataConfig(format="csv", classes_file=listed, **parts), "val")
    assert dataset.class_names == ("dog", "ant")
    with pytest.raises(ValueError, match="either `classes` or `classes_file`"):
        DataConfig(format="csv", classes_file=listed, classes=["dog"], **parts)
    with pytest.raises(ValueError, match=r"`data\.val\.annotations` is needed"):
        open_dataset(DataConfig(format="csv", train=parts["train"]), "val")


cells = st.lists(st.one_of(st.text(max_size=8), st.floats().map(str)), max_size=8)
FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=200)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("csv") / "any.csv"


@FIXED
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200), st.lists(cells, max_size=5)))
def test_any_file_is_read_or_refused(scratch, content):
    if isinstance(content, list):
        stream = io.StringIO()
        csv.writer(stream).writerows(content)
        content = stream.getvalue()
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    scratch.write_bytes(data)
    try:
        rows, malformed = read_rows(str(scratch))
    except DataError as error:
        assert str(scratch) in str(error)
        return
    assert all(row.path and len(row.corners) == 4 for row in rows)
    assert all(isinstance(line, int) for line, _ in malformed)


word = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1)
number = st.floats(0, 1e4).map(repr)


@FIXED
@given(st.lists(st.tuples(word, number, number, number, number, word), max_size=9), st.booleans())
def test_what_is_written_is_read_back(scratch, rows, with_header):
    if not rows:
        return
    stream = io.StringIO()
    csv.writer(stream).writerows([COLUMNS, *rows] if with_header else rows)
    scratch.write_bytes(stream.getvalue().encode())
    found, malformed = read_rows(str(scratch))
    assert [(row.path, *row.corners, row.class_name) for row in found] == rows
    assert malformed == []
