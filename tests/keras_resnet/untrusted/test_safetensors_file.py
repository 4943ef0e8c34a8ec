"""Headers against the library of the format: equal where it reads, never more lenient."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.untrusted.safetensors_file import (
    placeholders,
    read_metadata,
    read_tensors,
    unpack,
)

ARRAYS = {
    "a": np.arange(6, dtype="float32").reshape(2, 3),
    "scalar": np.array(7, "int64"),
    "nothing": np.zeros((0, 4), "float16"),
    "flags": np.array([True, False, True]),
    "half": np.arange(3).astype(ml_dtypes.bfloat16),
    "long": np.arange(5, dtype="float64"),
}
FILE = safetensors.numpy.save(ARRAYS, {"format": "pt"})


def test_reads_what_the_library_writes(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(FILE)
    for found in (read_tensors(path), unpack(FILE, "bytes")):
        assert found.keys() == ARRAYS.keys()
        for name, expected in ARRAYS.items():
            assert found[name].dtype == expected.dtype
            np.testing.assert_array_equal(found[name], expected)
    assert read_metadata(path) == {"format": "pt"}
    shapes = {name: (a.dtype, a.shape) for name, a in placeholders(path).items()}
    assert shapes == {name: (a.dtype, a.shape) for name, a in ARRAYS.items()}


def test_placeholders_take_no_memory(tmp_path):
    path = tmp_path / "a.safetensors"
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}})
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header.encode())
        stream.truncate(8 + len(header) + 2**40)
    assert placeholders(path)["x"].shape == (2**38,)
    assert placeholders(path)["x"].strides == (0,)


@settings(max_examples=400, deadline=None)
@given(
    place=st.integers(0, len(FILE) - 1),
    value=st.integers(0, 255),
    cut=st.integers(0, 20),
)
def test_a_changed_file_is_refused_or_read_as_the_library_reads_it(place, value, cut):
    data = bytearray(FILE)
    data[place] = value
    data = bytes(data[: len(data) - cut])
    try:
        found = unpack(data, "bytes")
    except UntrustedFileError:
        return
    expected = dict(safetensors.deserialize(data))
    assert found.keys() == expected.keys()
    for name, item in expected.items():
        assert list(found[name].shape) == item["shape"]
        assert found[name].tobytes() == bytes(item["data"])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data):
    data = struct.pack("<Q", len(data)) + data
    try:
        assert unpack(data, "bytes") == {}
    except UntrustedFileError as error:
        assert "bytes" in str(error)


def test_names_the_file():
    with pytest.raises(UntrustedFileError, match="mine is not a readable safetensors file"):
        unpack(b"short", "mine")
