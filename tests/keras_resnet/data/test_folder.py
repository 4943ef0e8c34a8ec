"""Folders of images, and what is wrong with them."""

import numpy as np
import pytest
from PIL import Image

from keras_resnet.data.errors import DataError
from keras_resnet.data.folder import load_folder
from tests.keras_resnet.data.helpers import smooth_image, write_folder


def test_labels_follow_the_sorted_names(tmp_path):
    write_folder(tmp_path, {"zebra": 2, "Ant": 1, "cat": 3})
    data = load_folder(tmp_path)
    assert data.class_names == ("Ant", "cat", "zebra")
    assert data.labels.tolist() == [0, 1, 1, 1, 2, 2]
    np.testing.assert_array_equal(data.read(0), smooth_image((30, 40), seed=100))
    np.testing.assert_array_equal(data.read(5), smooth_image((30, 40), seed=1))
    assert data.where(5) == str(tmp_path / "zebra" / "1.png")


def test_class_names_choose_and_order_the_folders(tmp_path):
    write_folder(tmp_path, {"a": 1, "b": 2, "c": 3})
    data = load_folder(tmp_path, class_names=["c", "a"])
    assert data.class_names == ("c", "a") and data.labels.tolist() == [0, 0, 0, 1]
    with pytest.raises(DataError, match="no folder for d"):
        load_folder(tmp_path, class_names=["a", "d"])
    data = load_folder(tmp_path, class_names=["d", "a"], allow_empty=True)
    assert data.labels.tolist() == [1]


def test_splits(tmp_path):
    write_folder(tmp_path / "train", {"a": 2, "b": 1})
    write_folder(tmp_path / "val", {"a": 1, "b": 1})
    assert len(load_folder(tmp_path, "train")) == 3
    assert len(load_folder(tmp_path, "val")) == 2
    with pytest.raises(DataError, match="holds train, val: pass `split='train'`"):
        load_folder(tmp_path)
    assert len(load_folder(tmp_path, class_names=["train", "val"])) == 5
    with pytest.raises(DataError, match=r"There is no folder .*test"):
        load_folder(tmp_path, "test")


def test_hidden_files_and_other_files_are_ignored(tmp_path):
    write_folder(tmp_path, {"a": 1, ".cache": 1})
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "a" / "._0.png").write_bytes(b"x")
    (tmp_path / "a" / "boxes.txt").write_text("1 2 3 4")
    (tmp_path / "readme.md").write_text("x")
    Image.fromarray(smooth_image((8, 8))).save(tmp_path / "a" / "UPPER.JPEG")
    Image.fromarray(smooth_image((8, 8))).save(tmp_path / "a" / "no_ending", "PNG")
    write_folder(tmp_path / "a", {"deeper": 1})
    data = load_folder(tmp_path)
    assert data.class_names == ("a",)
    names = [data.where(i).removeprefix(str(tmp_path)) for i in range(len(data))]
    assert names == ["/a/0.png", "/a/UPPER.JPEG", "/a/no_ending", "/a/deeper/0.png"]


def linked(tmp_path):
    """A class that is a link, a folder in a class, and a single file, which all lead elsewhere."""
    write_folder(tmp_path / "elsewhere", {"x": 2})
    write_folder(tmp_path / "data", {"a": 1, "c": 1})
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data" / "a")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere" / "x")
    (tmp_path / "data" / "c" / "deeper").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "c" / "one.png").symlink_to("../../elsewhere/x/1.png")
    return tmp_path / "data"


def test_links_are_followed_where_that_is_asked_for_but_not_in_circles(tmp_path):
    data = load_folder(linked(tmp_path), follow_links=True)
    assert data.labels.tolist() == [0, 1, 1, 2, 2, 2, 2]


def test_links_do_not_lead_out_of_the_folder(tmp_path):
    folder = linked(tmp_path)
    with pytest.raises(DataError) as caught:
        load_folder(folder)
    message = str(caught.value)
    assert "3 found, 0 allowed" in message and "`follow_links`" in message
    for place in ("b", "c/deeper", "c/one.png"):
        assert f"{folder}/{place} (links that lead out of the folder)" in message
    data = load_folder(folder, max_bad_images=3, allow_empty=True)
    assert data.labels.tolist() == [0, 2]
    assert data.problems.counts() == {"outside_folder": 3}


def test_links_within_the_folder_and_the_folder_itself(tmp_path):
    write_folder(tmp_path / "data" / "train", {"a": 2})
    (tmp_path / "data" / "train" / "b").symlink_to("../pool")
    write_folder(tmp_path / "data", {"pool": 1})
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert load_folder(tmp_path / "link", "train").labels.tolist() == [0, 0, 1]
    # The split may lie anywhere, and what it holds then is inside.
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "train").symlink_to(tmp_path / "data" / "pool" / "..")
    assert len(load_folder(tmp_path / "other", "train", class_names=["pool"])) == 1
    assert len(load_folder(tmp_path / "link", "train", class_names=["a"])) == 2


def test_empty_classes_are_refused_by_name(tmp_path):
    write_folder(tmp_path, {"a": 1, "b": 0, "c": 0})
    with pytest.raises(DataError, match=r"no images in .*b, .*c\."):
        load_folder(tmp_path)
    assert load_folder(tmp_path, allow_empty=True).class_names == ("a", "b", "c")
    with pytest.raises(DataError, match="has no folders"):
        load_folder(tmp_path / "b")


def test_unreadable_images_are_named_at_once_or_left_out(tmp_path):
    write_folder(tmp_path, {"a": 3, "b": 2})
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    (tmp_path / "b" / "0.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load_folder(tmp_path)
    message = str(caught.value)
    assert "2 found, 0 allowed" in message
    assert f"{tmp_path}/a/1.png: it is in no image format" in message
    assert f"{tmp_path}/b/0.png" in message
    with pytest.raises(DataError, match="2 found, 1 allowed"):
        load_folder(tmp_path, max_bad_images=1)
    data = load_folder(tmp_path, max_bad_images=2)
    assert data.labels.tolist() == [0, 0, 1]
    places = [where for where, _ in data.problems.of_kind("undecodable_image")]
    assert places == [str(tmp_path / "a" / "1.png"), str(tmp_path / "b" / "0.png")]
    assert places[1] in data.summary() and "2  images that do not decode" in data.summary()
    np.testing.assert_array_equal(data.read(1), smooth_image((30, 40), seed=2))
    (tmp_path / "b" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match="all images of b are unreadable"):
        load_folder(tmp_path, max_bad_images=3)


def test_what_only_decoding_finds(tmp_path):
    write_folder(tmp_path, {"a": 1})
    path = tmp_path / "a" / "1.jpg"
    Image.fromarray(smooth_image((160, 180))).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    data = load_folder(tmp_path)
    with pytest.raises(DataError, match=r"1\.jpg does not decode"):
        data.read(1)
    with pytest.raises(DataError, match="1 found, 0 allowed"):
        load_folder(tmp_path, verify="decode")
    with pytest.raises(ValueError, match="Received: verify='all'"):
        load_folder(tmp_path, verify="all")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16"])
def test_every_mode_is_read_as_rgb(tmp_path, mode):
    (tmp_path / "a").mkdir()
    pixels = smooth_image((6, 9))
    if mode == "I;16":
        grey = np.arange(54, dtype="uint16").reshape(6, 9) * 1200
        picture = Image.fromarray(grey)
        expected = np.repeat(np.rint(grey / 257).astype("uint8")[..., None], 3, axis=2)
    else:
        picture = Image.fromarray(pixels).convert(mode)
        expected = np.asarray(picture.convert("RGB"))
    picture.save(tmp_path / "a" / ("1.tif" if mode == "CMYK" else "1.png"))
    np.testing.assert_array_equal(load_folder(tmp_path).read(0), expected)


def test_exif_orientation_is_applied(tmp_path):
    (tmp_path / "a").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = smooth_image((6, 9))
    Image.fromarray(pixels).save(tmp_path / "a" / "1.png", exif=exif)
    # 6: to be turned by 90 degrees clockwise.
    np.testing.assert_array_equal(load_folder(tmp_path).read(0), np.rot90(pixels, -1))
