"""Data that are not where they should be: what was tried and what is there is said."""

import re

import pytest

from keras_resnet.data.arrays import load_npz
from keras_resnet.data.cifar import load_cifar
from keras_resnet.data.errors import DataError
from keras_resnet.data.folder import load_folder
from keras_resnet.data.images import read_bytes
from keras_resnet.training.config import ConfigError, StrictModel, load_config
from tests.keras_resnet.data.helpers import write_folder


def told(path, folder, holds):
    """Pattern of the lines on a path that was tried and the folder that is nearest."""
    return rf"(?s)Tried: {re.escape(str(path))}\n  In {re.escape(str(folder))}: {holds}$"


def test_folder_of_a_split(tmp_path):
    write_folder(tmp_path, {"dog": 1, "cat": 1})
    wanted = tmp_path / "train"
    with pytest.raises(DataError, match=told(wanted, tmp_path, "cat/, dog/")) as raised:
        load_folder(tmp_path, "train")
    assert f"{wanted}/<class>/" in str(raised.value)


def test_images_without_folders_of_classes(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match=rf"<class>.*\n  In {re.escape(str(tmp_path))}: a\.jpg$"):
        load_folder(tmp_path)


@pytest.mark.parametrize("load", [load_cifar, load_npz])
def test_files(tmp_path, load):
    (tmp_path / "cifar-10.tar.gz").write_bytes(b"x")
    wanted = tmp_path / "cifar" / "cifar.npy"
    with pytest.raises(ValueError, match=told(wanted, tmp_path, r"cifar-10\.tar\.gz")):
        load(wanted, "train")


def test_configuration(tmp_path):
    (tmp_path / "mine.yaml").write_text("{}")
    wanted = tmp_path / "mein.yaml"
    with pytest.raises(ConfigError, match=told(wanted, tmp_path, r"mine\.yaml")):
        load_config(StrictModel, wanted)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(DataError, match=r"is a folder; give its files.*glob\('\*\.jpg'\)"):
        read_bytes(str(tmp_path))
