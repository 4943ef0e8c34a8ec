"""What of an HDF5 file is given to its readers."""

import h5py
import numpy as np
import pytest

from keras_resnet.untrusted import hdf5_file
from keras_resnet.untrusted.errors import UntrustedFileError


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/kernel"] = np.arange(6.0)
        file["a/text"] = "a text"
    return tmp_path / "a.h5"


def test_arrays_of_numbers_alone_are_given(path):
    with hdf5_file.open_arrays(path, "file") as (_, datasets):
        assert list(datasets) == ["a/kernel"]
        (kernel,) = hdf5_file.read_arrays(datasets, "file").values()
    np.testing.assert_array_equal(kernel, np.arange(6.0))


def test_a_name_that_is_no_text(path):
    data = path.read_bytes()
    assert data.count(b"kernel\0") == 1
    path.write_bytes(data.replace(b"kernel\0", b"\xffernel\0"))
    with (
        pytest.raises(UntrustedFileError, match="not a readable weights file"),
        hdf5_file.open_arrays(path, "file"),
    ):
        pass
