"""Data sets from arrays and `.npz` files, and what is refused."""

import numpy as np
import pytest

from keras_resnet.data.arrays import from_arrays, load_npz
from keras_resnet.data.dataset import ImageDataset

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 9, 3), "uint8")
LABELS = np.array([0, 2, 1, 2, 0, 2])


def test_from_arrays():
    data = from_arrays(IMAGES, LABELS[:, None])
    assert (len(data), data.class_names, data.labels.dtype) == (6, ("0", "1", "2"), "int32")
    np.testing.assert_array_equal(data.labels, LABELS)
    np.testing.assert_array_equal(data.read(4), IMAGES[4])
    assert (data.where(4), data.summary()) == ("arrays[4]", "arrays: 6 images, 3 classes")
    named = from_arrays(IMAGES, LABELS.tolist(), class_names=["a", "b", "c", "d"], name="four")
    assert (named.class_names, named.name) == (("a", "b", "c", "d"), "four")


@pytest.mark.parametrize(
    "images, labels, names, message",
    [
        (IMAGES / 255, LABELS, None, r"uint8.*float64"),
        (IMAGES[..., 0], LABELS, None, r"Received: shape \(6, 8, 9\)"),
        (IMAGES[:5], LABELS, None, r"shape \(6, height.*Received: shape \(5,"),
        (IMAGES, LABELS / 2, None, r"one integer an image.*float64"),
        (IMAGES, np.eye(6)[LABELS], None, r"one integer an image.*\(6, 6\)"),
        (IMAGES, ["0"] * 6, None, "one integer an image"),
        (IMAGES, LABELS - 1, None, r"2 labels.*outside.*position 0.*label -1"),
        (IMAGES, LABELS, ["a", "b"], r"3 labels.*2 classes.*position 1.*label 2"),
        (IMAGES[:0], LABELS[:0], None, "no images"),
    ],
)
def test_refused_arrays(images, labels, names, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(images, labels, names)


def test_either_images_or_a_reader():
    with pytest.raises(ValueError, match="either"):
        ImageDataset("x", ["a"], [0])
    with pytest.raises(ValueError, match="either"):
        ImageDataset("x", ["a"], [0], read=lambda i: IMAGES[i], images=IMAGES[:1])


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_npz_splits_have_the_same_classes(tmp_path):
    path = write(
        tmp_path / "a.npz",
        x_train=IMAGES,
        y_train=LABELS,
        x_test=IMAGES[:2],
        y_test=np.array([[1], [4]], "uint8"),
    )
    train, test = load_npz(path, "train"), load_npz(str(path), "test")
    assert train.class_names == test.class_names == ("0", "1", "2", "3", "4")
    np.testing.assert_array_equal(test.images, IMAGES[:2])
    assert (test.labels.tolist(), test.name) == ([1, 4], "a.npz test")
    assert load_npz(path, "train", class_names="abcde").class_names == tuple("abcde")


def test_missing_files_and_arrays(tmp_path):
    with pytest.raises(ValueError, match=r"no file '.*nothing\.npz'"):
        load_npz(tmp_path / "nothing.npz", "train")
    path = write(tmp_path / "a.npz", x_train=IMAGES, labels=LABELS)
    with pytest.raises(ValueError, match=r"no array y_train.*its arrays are labels, x_train"):
        load_npz(path, "train")
    with pytest.raises(ValueError, match="no array x_val and y_val"):
        load_npz(path, "val")


class Bomb:
    def __reduce__(self):
        import os

        return os.system, ("touch exploded",)


def test_objects_are_not_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = np.array([Bomb()] * 6, dtype=object)
    path = write(tmp_path / "a.npz", x_train=IMAGES, y_train=bomb)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_npz(path, "train")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("damage", ["text", "npy", "pickle", "cut", "flipped", "words"])
def test_damaged_files(tmp_path, damage):
    path = write(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS)
    if damage == "text":
        path.write_text("no archive")
    elif damage == "npy":
        with path.open("wb") as file:
            np.save(file, IMAGES)
    elif damage == "pickle":
        import pickle

        path.write_bytes(pickle.dumps([1, 2]))
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:700])
    elif damage == "flipped":
        np.savez_compressed(path, x_train=IMAGES, y_train=LABELS)
        content = bytearray(path.read_bytes())
        content[200:260] = bytes(60)
        path.write_bytes(content)
    else:
        write(path, x_train=IMAGES, y_train=np.array(["cat"] * 6))
    with pytest.raises(ValueError, match=r"a\.npz"):
        load_npz(path, "train")
