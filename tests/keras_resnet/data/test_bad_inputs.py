"""Bad labelled images: those of the tables in `bad_data.py`, and image files in folders."""

import os
import tarfile

import numpy as np
import pytest

from keras_resnet.classification.config import ImagesConfig
from keras_resnet.classification.feeds import open_images
from keras_resnet.data.arrays import load_npz
from keras_resnet.data.cifar import load_cifar
from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.errors import DataError
from keras_resnet.data.folder import load_folder
from keras_resnet.data.images import decode_image, read_bytes
from keras_resnet.data.loader import PyDatasetLoader
from keras_resnet.data.pipeline import tf_pipeline
from tests.detection.data.bad_images import ACCEPTED, PICTURE, UNUSABLE, encoded
from tests.keras_resnet.data.bad_data import ARCHIVES, CIFAR, NPZ, archived, pickled, rows
from tests.keras_resnet.data.test_cifar import binary_files, image, numbers_of


def cases(table):
    return pytest.mark.parametrize("case", table, ids=[case.what for case in table])


@cases(NPZ)
def test_npz(tmp_path, case):
    (tmp_path / "a.npz").write_bytes(case.content())
    with pytest.raises(ValueError, match=rf"(?s)a\.npz.*{case.reason}|{case.reason}.*a\.npz"):
        load_npz(tmp_path / "a.npz", "train")


@cases(CIFAR)
def test_cifar_pickles(tmp_path, case):
    for name, content in pickled(case.content()).items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s)^test_batch.*{case.reason}|^{case.reason}"):
        load_cifar(tmp_path, "test")


@cases(ARCHIVES)
def test_cifar_archives(tmp_path, case):
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(case.content())
    with pytest.raises(ValueError, match=rf"cifar\.tar\.gz.*{case.reason}"):
        load_cifar(path, "test")
    assert os.listdir(tmp_path) == ["cifar.tar.gz"]


@pytest.mark.parametrize("name", ["../test_batch.bin", "/elsewhere/../test_batch.bin", "a/../../x"])
def test_members_outside_are_only_read(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "cifar.tar.gz"
    members = (tarfile.TarInfo(name), binary_files()["test_batch.bin"])
    path.write_bytes(archived(members))
    if name.endswith("x"):
        with pytest.raises(ValueError, match="holds no CIFAR-10 test set"):
            load_cifar(path, "test")
    else:
        found = load_cifar(path, "test").images
        np.testing.assert_array_equal(found, [image(n) for n in numbers_of(5)])
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "cifar.tar.gz"]


def test_numpy_is_not_called_by_a_pickle(tmp_path, monkeypatch):
    """What a pickle says about an array is checked before there is one."""
    for name, content in pickled(CIFAR[8].content()).items():
        (tmp_path / name).write_bytes(content)

    def refused(*arguments):
        raise AssertionError("NumPy makes an array as a pickle says")

    monkeypatch.setattr(np._core.multiarray, "_reconstruct", refused)
    with pytest.raises(ValueError, match="does not hold"):
        load_cifar(tmp_path, "test")


UPRIGHT = [case for case in ACCEPTED if "as stored" not in case.what]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accepted")
    (folder / "cat").mkdir()
    for i, case in enumerate(UPRIGHT):
        (folder / "cat" / f"{i:02}.jpg").write_bytes(case.content)
    return load_folder(folder, verify="decode")


@pytest.mark.parametrize("number", range(len(UPRIGHT)), ids=[case.what for case in UPRIGHT])
def test_accepted_images(good, number):
    np.testing.assert_array_equal(good.read(number), UPRIGHT[number].pixels)


def test_both_pipelines_read_all_accepted_images(good):
    config = ClassificationPipelineConfig(batch_size=len(UPRIGHT), image_size=16)
    (ours,) = tf_pipeline(good, config, training=False).as_numpy_iterator()
    theirs = PyDatasetLoader(good, config, training=False)[0]
    assert ours[0].shape == (len(UPRIGHT), 16, 16, 3)
    assert all(image.any() for image in ours[0])
    for one, other in zip(ours, theirs):
        np.testing.assert_array_equal(one, other)


BAD = [case for case in UNUSABLE if case.kind == "undecodable_image" or "pipe" in case.what]


@cases(BAD)
def test_unusable_images(tmp_path, case):
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.png").write_bytes(encoded(PICTURE, "PNG"))
    case.place(tmp_path / "train" / "cat" / "0.jpg")
    folder = tmp_path / "train"
    with pytest.raises(DataError, match=r"(?s)1 found, 0 allowed.*cat/0\.jpg"):
        load_folder(folder, verify="decode")
    data = load_folder(folder, verify="decode", max_bad_images=1)
    assert data.labels.tolist() == [0, 1]
    assert data.problems.counts() == {"undecodable_image": 1}
    assert "cat/0.jpg" in data.summary()
    if "pipe" in case.what or not case.in_header:
        return
    config = ImagesConfig(format="folder", root=str(tmp_path), max_bad_images=1)
    assert open_images(config, "train").problems.counts() == {"undecodable_image": 1}


def test_names_of_classes_and_files_are_printed_escaped(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "\x1b[2J.png").write_bytes(b"")
    (tmp_path / "cat" / os.fsdecode(b"\xff.png")).write_bytes(encoded(PICTURE, "PNG"))
    with pytest.raises(DataError, match=r"cat/\\x1b\[2J\.png"):
        load_folder(tmp_path)
    data = load_folder(tmp_path, max_bad_images=1)
    assert "\x1b" not in data.summary() and data.fingerprint()["count"] == 1
    (tmp_path / "\x1b[2J").mkdir()
    (tmp_path / "\x1b[2J" / "1.png").write_bytes(encoded(PICTURE, "PNG"))
    with pytest.raises(ValueError, match=r"printable.*x1b"):
        load_folder(tmp_path, max_bad_images=1)


def test_names_of_image_files_are_escaped(tmp_path):
    path = str(tmp_path / "a\x1b]0;pwn\x07.jpg")
    for make in (lambda: None, lambda: os.mkfifo(path)):
        make()
        with pytest.raises(ValueError, match=r"a\\x1b\]0;pwn\\x07\.jpg") as caught:
            read_bytes(path)
        assert str(caught.value).isprintable()
    with pytest.raises(ValueError, match=r"a\\x1b\]0;pwn\\x07\.jpg") as caught:
        decode_image(b"no picture", path)
    assert str(caught.value).isprintable()


def test_the_table_says_what_is_tested():
    assert len({row[:2] for row in rows()}) == len(NPZ) + len(CIFAR) + len(ARCHIVES) + 1
