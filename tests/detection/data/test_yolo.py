"""The YOLO reader against boxes worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.config import DataConfig
from detection.data import DataError, load_yolo
from detection.data.yolo_labels import parse_row
from detection.datasets import open_dataset
from tests.detection.data.helpers import write_image

SIZE = (40, 80)  # Height and width.


def write_yolo(root, labels, yaml=None, folder="train"):
    """Writes `data.yaml`, and each image with its label text, or None for no file."""
    for part in ("images", "labels"):
        (root / part / folder).mkdir(parents=True, exist_ok=True)
    for seed, (stem, text) in enumerate(labels.items()):
        write_image(root / "images" / folder / f"{stem}.jpg", SIZE, seed)
        if text is not None:
            (root / "labels" / folder / f"{stem}.txt").write_text(text)
    if yaml is None:
        yaml = "train: images/train\nval: images/train\nnames: [cat, dog]\n"
    (root / "data.yaml").write_text(yaml)
    return root


def ids(dataset):
    return [record.image_id for record in dataset.records]


def test_boxes_classes_and_ids(tmp_path):
    write_yolo(tmp_path, {"b": "1 0.5 0.5 0.25 0.5\n0 0.1 0.25 0.2 0.5\n", "a": "", "c": None})
    dataset = load_yolo(tmp_path / "data.yaml", "train")
    assert ids(dataset) == [f"images/train/{stem}.jpg" for stem in "abc"]
    first, second, third = dataset.records
    assert len(first.boxes) == len(third.boxes) == 0
    # 80 x 40 pixels: (0.5 -+ 0.125) * 80, (0.5 -+ 0.25) * 40; and from the corner.
    np.testing.assert_allclose(second.boxes, [[30, 10, 50, 30], [0, 0, 16, 20]], atol=1e-5)
    assert second.classes.tolist() == [1, 0] and (second.height, second.width) == SIZE
    assert [(c.id, c.name) for c in dataset.categories] == [(0, "cat"), (1, "dog")]
    # What is no background because of a wrong path would be as silent.
    assert dataset.problems.counts() == {"no_label_file": 1}
    assert "c.jpg: no" in dataset.problems.summary()
    assert dataset.read(1)["image"].shape == (*SIZE, 3)
    assert dataset.name == f"{tmp_path.name}_train"


NAMES = "names: [cat, dog]\n"


@pytest.mark.parametrize(
    "yaml",
    [
        "path: .\ntrain: images/train\nval:\n" + NAMES,
        "path: ''\ntrain: [images/train]\nnc: 2\n" + NAMES,
        "path: ../{root.name}\ntrain: images/train/\n" + NAMES,
        "path: {root}\ntrain: images/train\n" + NAMES,
        "path: elsewhere/on/another/machine\ntrain: images/train\n" + NAMES,
        "train: ../images/train\nval: ../images/none\n" + NAMES,
        "train: images\\train\n" + NAMES,
        "train: images\nnames:\n  0: cat\n  1: dog\n",
        "train: list.txt\nnames: {{1: dog, 0: cat}}\n",
        "path: ./\ntrain: sub/list.txt\n" + NAMES,
    ],
)
def test_ways_to_name_the_images(tmp_path, yaml):
    root = write_yolo(
        tmp_path / "set", {"a": "0 0.5 0.5 0.5 0.5"}, yaml.format(root=tmp_path / "set")
    )
    (root / "list.txt").write_text("images/train/a.jpg\n\n")
    (root / "sub").mkdir()
    (root / "sub" / "list.txt").write_text("./../images/train/a.jpg\n")
    for source in (root, str(root / "data.yaml")):
        dataset = load_yolo(source, "train")
        np.testing.assert_allclose(dataset.records[0].boxes, [[20, 10, 60, 30]], atol=1e-5)
        assert ids(dataset) == ["images/train/a.jpg"] and len(dataset.problems) == 0
        assert dataset.name == "set_train"
        assert dataset.class_names == ("cat", "dog")


def test_several_folders_and_other_words_for_splits(tmp_path):
    text = "train: [images/one, images/two]\nvalid: images/one\nnames: [cat]\n"
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5"}, text, "two")
    write_yolo(tmp_path, {"b": "0 0.5 0.5 0.5 0.5"}, text, "one")
    assert ids(load_yolo(tmp_path, "train")) == ["images/one/b.jpg", "images/two/a.jpg"]
    assert ids(load_yolo(tmp_path, "val")) == ["images/one/b.jpg"]
    (tmp_path / "data.yaml").write_text(text.replace("images/two", "images"))
    with pytest.raises(DataError, match="more than once"):
        load_yolo(tmp_path, "train")


def test_labels_beside_the_images(tmp_path):
    (tmp_path / "photos").mkdir()
    write_image(tmp_path / "photos" / "a.PNG", SIZE)
    (tmp_path / "photos" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text("train: photos\nnames: [cat]\n")
    assert len(load_yolo(tmp_path).records[0].boxes) == 1


def test_the_last_folder_named_images_counts(tmp_path):
    root = write_yolo(tmp_path / "images" / "set", {"a": "0 0.5 0.5 0.5 0.5"})
    assert len(load_yolo(root).records[0].boxes) == 1


def test_outlines_and_poses(tmp_path):
    outline = "0 0.25 0.5 0.5 0.25 0.75 0.75"  # Three points.
    oriented = "1 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5"
    write_yolo(tmp_path, {"a": f"{outline}\n{oriented}\n"})
    expected = [[20, 10, 60, 30], [8, 4, 24, 20]]
    np.testing.assert_allclose(load_yolo(tmp_path).records[0].boxes, expected, atol=1e-5)
    # With key points the first four numbers are the box.
    yaml = "train: images/train\nnames: [cat, dog]\nkpt_shape: [2, 3]\n"
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5 0.9 0.9 2 0.1 0.1 1\n"}, yaml)
    np.testing.assert_allclose(load_yolo(tmp_path).records[0].boxes, [[20, 10, 60, 30]], atol=1e-5)


GOOD = "0 0.5 0.5 0.5 0.5\n"


@pytest.mark.parametrize(
    ("row", "kind", "left"),
    [
        ("0 0.5 0.5 0 0.5", "zero_area", None),
        ("0 0.5 0.5 -0.5 0.5", "negative_size", None),
        ("0 nan 0.5 0.5 0.5", "not_finite", None),
        ("0 0.5 inf 0.5 0.5", "not_finite", None),
        ("0 nan 0.1 0.2 0.2 0.3 0.3", "not_finite", None),
        ("0 1.5 0.5 0.5 0.5", "outside", None),
        ("0 320 240 50 60", "outside", None),
        ("0 0.9 0.5 0.4 0.5", "clipped", [56, 10, 80, 30]),
        ("0 0.5 0.5 0.2 0.2 0.2 3.5", "clipped", [16, 8, 40, 40]),
        ("0 0.5 0.5 0.5", "malformed_box", None),
        ("0 0.5 0.5 0.5 0.5 0.9", "malformed_box", None),
        ("cat 0.5 0.5 0.5 0.5", "malformed_box", None),
        ("0 0,5 0,5 0,5 0,5", "malformed_box", None),
        ("0.5 0.5 0.5 0.5 0.5", "malformed_box", None),
        ("2 0.5 0.5 0.5 0.5", "unknown_category", None),
        ("-1 0.5 0.5 0.5 0.5", "unknown_category", None),
    ],
)
def test_bad_rows_are_counted_and_named(tmp_path, row, kind, left):
    write_yolo(tmp_path, {"a": GOOD + "\n" + row + "\n"})
    dataset = load_yolo(tmp_path)
    assert dataset.problems.counts() == {kind: 1}
    ((where, detail),) = dataset.problems.of_kind(kind)
    assert where.endswith("a.txt, line 3")
    assert (row in detail) or kind == "unknown_category"
    expected = [[20, 10, 60, 30]] + ([left] if left else [])
    np.testing.assert_allclose(dataset.records[0].boxes, expected, atol=1e-5)


def test_pixels_in_place_of_shares_are_said(tmp_path):
    write_yolo(tmp_path, {"a": "0 320 240 50 60"})
    assert "shares of the image's sides, not pixels" in load_yolo(tmp_path).summary()


def test_a_download_line_is_never_run(tmp_path, monkeypatch):
    yaml = "train: images/train\nnames: [cat]\ndownload: |\n  import os\n  os.mkdir('made')\n"
    monkeypatch.chdir(tmp_path)
    dataset = load_yolo(write_yolo(tmp_path / "set", {"a": GOOD}, yaml))
    assert dataset.problems.counts() == {"not_run": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("", "must hold `train`"),
        ("[1, 2]", "must hold `train`"),
        ("train: [", "not valid YAML"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("names: !!python/object/apply:os.getcwd []", "tags"),
        ("train: images/train\n", "`names` must list"),
        ("train: images/train\nnames: []\n", "`names` must list"),
        ("train: images/train\nnames: cat\n", "`names` must list"),
        ("train: images/train\nnames: [cat, cat]\n", "repeats a class"),
        ("train: images/train\nnames: [true]\n", "quote words"),
        ("train: images/train\nnames: {a: cat}\n", "number from 0"),
        ("train: images/train\nnames: [[1]]\n", "printable text"),
        ("train: images/train\nnames: ['']\n", "printable text"),
        ("train: images/train\nnc: 3\nnames: [cat]\n", "`nc` is 3, but there are 1"),
        ("train: 7\nnames: [cat]\n", "`train` must be a folder"),
        ("path: [a]\ntrain: x\nnames: [cat]\n", "`path` must be the name"),
        ("val: images/train\nnames: [cat]\n", "does not name the images of 'train'.*val_share"),
        ("train: images/train\nnames: [cat]\nkpt_shape: 3\n", "`kpt_shape`"),
        ("train: empty.txt\nnames: [cat]\n", "names no image"),
        ("train: bytes.txt\nnames: [cat]\n", "UTF-8"),
        ("train: labels\nnames: [cat]\n", r"no image in .*labels.*train/"),
    ],
)
def test_bad_yaml_is_refused(tmp_path, yaml, words):
    write_yolo(tmp_path, {"a": GOOD}, yaml)
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match=f"(?s){words}") as caught:
        load_yolo(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_paths_that_do_not_exist_are_all_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"(?s)Tried: .*data\.yaml.*data\.yml.*nothing"):
        load_yolo(tmp_path)
    yaml = "path: here\ntrain: ../images/tarin\nnames: [cat]\n"
    root = write_yolo(tmp_path / "set", {"a": GOOD}, yaml)
    with pytest.raises(FileNotFoundError) as caught:
        load_yolo(root)
    text = str(caught.value)
    for path in ("set/images/tarin", "set/here/images/tarin", str(tmp_path / "images/tarin")):
        assert path in text
    assert f"In {root / 'images'}: train/" in text
    assert "correct `path` or `train`" in text


def test_images_without_any_label_are_refused(tmp_path):
    root = write_yolo(tmp_path / "set", {"a": None, "b": None})
    (root / "labels" / "train").rename(root / "labels" / "trian")
    with pytest.raises(DataError, match=r"(?s)None of the 2 images.*labels/train/a\.txt.*trian/"):
        load_yolo(root)
    (root / "labels" / "train").mkdir()
    (root / "labels" / "train" / "a.txt").touch()
    assert load_yolo(root).problems.counts() == {"no_label_file": 1}


def test_unusable_files_are_refused_together(tmp_path):
    root = write_yolo(tmp_path / "set", dict.fromkeys("abcd", GOOD))
    (root / "images" / "train" / "a.jpg").write_text("no image")
    (root / "labels" / "train" / "b.txt").write_bytes(b"\xff\xfe0 1")
    (root / "labels" / "train" / "c.txt").unlink()
    (tmp_path / "c.txt").write_text(GOOD)
    (root / "labels" / "train" / "c.txt").symlink_to(tmp_path / "c.txt")
    (root / "labels" / "train" / "other.txt").write_text(GOOD)
    with pytest.raises(DataError, match="3 found, 0 allowed") as caught:
        load_yolo(root)
    for name in ("a.jpg", "b.txt", "c.txt"):
        assert name in str(caught.value)
    dataset = load_yolo(root, max_bad_images=3)
    assert ids(dataset) == ["images/train/d.jpg"]
    kinds = ("undecodable_image", "malformed_annotation", "outside_folder", "unknown_image")
    assert dataset.problems.counts() == dict.fromkeys(kinds, 1)
    assert "images/train/c.jpg" in ids(load_yolo(root, max_bad_images=2, follow_links=True))


def test_lists_do_not_lead_out_of_the_folder(tmp_path):
    root = write_yolo(tmp_path / "set", {"a": GOOD}, "train: list.txt\nnames: [cat, dog]\n")
    write_image(tmp_path / "secret.jpg", SIZE)
    lines = ["images/train/a.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "gone.jpg"]
    (root / "list.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"(?s)3 found.*list\.txt, line 4.*line 2.*line 3.*In "):
        load_yolo(root)
    dataset = load_yolo(root, max_bad_images=3)
    assert dataset.problems.counts() == {"outside_folder": 2, "missing_image": 1}
    assert ids(dataset) == ["images/train/a.jpg"]


@pytest.mark.parametrize(
    "yaml",
    [
        "path: ../elsewhere\ntrain: images/train\n",
        "path: {elsewhere}\ntrain: images/train\n",
        "train: ../elsewhere/images/train\n",
        "train: {elsewhere}/images/train\n",
        "train: [link]\n",
        "path: link\ntrain: .\n",
        "train: ../elsewhere/list.txt\n",
    ],
)
def test_data_yaml_does_not_lead_out_of_its_folder(tmp_path, yaml):
    elsewhere = write_yolo(tmp_path / "elsewhere", {"a": GOOD})
    (elsewhere / "list.txt").write_text("./images/train/a.jpg\n")
    root = tmp_path / "set"
    root.mkdir()
    (root / "link").symlink_to(elsewhere / "images" / "train")
    (root / "data.yaml").write_text(yaml.format(elsewhere=elsewhere) + "names: [cat, dog]\n")
    with pytest.raises(DataError, match=r"(?s)outside of its own folder.*data\.follow_links=true"):
        load_yolo(root)
    if "list" in yaml:
        with pytest.raises(DataError, match="leads out of the image folder"):
            load_yolo(root, follow_links=True)
    elif "link" not in yaml:
        assert len(load_yolo(root, follow_links=True).records[0].boxes) == 1


def test_lists_of_another_machine(tmp_path):
    root = write_yolo(tmp_path / "set", {"a": GOOD, "b": GOOD}, "train: l.txt\nnames: [cat]\n")
    (root / "l.txt").write_text("/content/set/images/train/a.jpg\nimages\\train\\b.jpg\n")
    dataset = load_yolo(root)
    assert ids(dataset) == ["images/train/a.jpg", "images/train/b.jpg"]
    assert dataset.problems.counts() == {"found_elsewhere": 2}


def test_configuration(tmp_path):
    root = write_yolo(tmp_path / "set", {"a": GOOD, "b": ""})
    config = DataConfig(format="yolo", root=str(root / "data.yaml"))
    assert [len(open_dataset(config, split)) for split in ("train", "val")] == [2, 2]
    with pytest.raises(ValueError, match=r"`data\.root` is needed"):
        open_dataset(DataConfig(format="yolo"), "train")
    config = DataConfig(format="yolo", root=str(root), val={"split": "test"})
    with pytest.raises(DataError, match="does not name the images of 'test'"):
        open_dataset(config, "val")


NUMBERS = st.one_of(st.floats(), st.integers(), st.text(max_size=6))


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(st.lists(NUMBERS, max_size=12), st.sampled_from([None, 6]))
def test_any_row_is_read_or_refused(values, keypoint_values):
    fields = " ".join(map(str, values)).split()
    found = parse_row(fields, keypoint_values)
    assert found is None or (isinstance(found[0], int) and len(found[1]) == 4)


share = st.floats(0.01, 0.99)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.integers(0, 99), share, share, share, share)
def test_rows_written_are_read_back(class_id, x1, y1, x2, y2):
    (x1, x2), (y1, y2) = sorted((x1, x2)), sorted((y1, y2))
    row = [class_id, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
    points = [class_id, x1, y1, x2, y1, x2, y2]
    for values in (row, points):
        found = parse_row([f"{value:.9g}" for value in values])
        assert found[0] == class_id
        np.testing.assert_allclose(found[1], (x1, y1, x2, y2), atol=1e-8)
