"""Every label file and table of `bad_label_files.py`."""

import pytest

from detection.data import DataError, load_csv, load_yolo
from tests.detection.data.bad_annotations import SIZE
from tests.detection.data.bad_label_files import CSV, GOOD, ROW, YOLO
from tests.detection.data.bad_label_files import rows as label_file_rows
from tests.detection.data.helpers import write_image
from tests.detection.data.test_bad_annotations import as_bytes, check

LEFT_OUT = {"missing_image", "outside_folder", "malformed_annotation"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in ("1.jpg", "2.jpg"):
        write_image(folder / name, SIZE)
    return folder


def refused_unless_allowed(load, case, file):
    if case.outcome in LEFT_OUT:
        with pytest.raises(DataError, match="1 found, 0 allowed") as caught:
            load(max_bad_images=0)
        assert file in str(caught.value)


@pytest.mark.parametrize("case", YOLO, ids=[case.what for case in YOLO])
def test_yolo(tmp_path, images, case):
    (tmp_path / "images").symlink_to(images)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "2.txt").write_text(GOOD)
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    if case.text is not None:
        (tmp_path / "labels" / "1.txt").write_bytes(as_bytes(case.text))

    def load(max_bad_images):
        return load_yolo(tmp_path, max_bad_images=max_bad_images, follow_links=True)

    refused_unless_allowed(load, case, "1.txt")
    check(load(1), case, first="images/1.jpg")


@pytest.mark.parametrize("case", CSV, ids=[case.what for case in CSV])
def test_csv(tmp_path, images, case):
    file = tmp_path / "boxes.csv"
    file.write_bytes(as_bytes(case.text) + ROW.replace("1.jpg", "2.jpg").encode())

    def load(max_bad_images):
        classes = ("cat", "dog")
        return load_csv(file, images, classes=classes, max_bad_images=max_bad_images)

    if case.outcome == "refused":
        with pytest.raises(DataError, match=case.detail) as caught:
            load(0)
        assert str(file) in str(caught.value) and len(str(caught.value)) < 2000
        return
    refused_unless_allowed(load, case, f"{file}, line 1")
    check(load(1), case, first=None)


def test_the_table():
    rows = list(label_file_rows())
    assert len(rows) >= 60 and len({row[:2] for row in rows}) == len(rows)
    assert not [row for row in rows if "|" in "".join(row) or "\n" in "".join(row)]
