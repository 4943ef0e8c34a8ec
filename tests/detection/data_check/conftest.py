"""The sample set that the tests plant defects into."""

import shutil

import pytest

from detection.data import make_shapes


@pytest.fixture(scope="session")
def clean_folder(tmp_path_factory):
    """24 and 8 small images without any defect; not to be changed."""
    folder = tmp_path_factory.mktemp("data_check") / "shapes"
    make_shapes(folder, num_train=24, num_val=8, image_size=96, seed=3)
    return folder


@pytest.fixture
def folder(clean_folder, tmp_path):
    """A copy of it."""
    return shutil.copytree(clean_folder, tmp_path / "data")
