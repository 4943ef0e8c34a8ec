"""safetensors files: the header checked before a tensor is read."""

import dataclasses
import io
import math
import os

import ml_dtypes
import numpy as np

from keras_resnet.untrusted import json_text
from keras_resnet.untrusted.errors import UntrustedFileError

MAX_HEADER_BYTES = 4 * 2**20
MAX_TENSORS = 20_000
_MAX_DIMENSIONS = 16
DTYPES = {
    "BOOL": np.dtype("bool"),
    **{f"{kind}{8 * n}": np.dtype(f"{kind.lower()}{n}") for kind in "IU" for n in (1, 2, 4, 8)},
    **{f"F{8 * n}": np.dtype(f"f{n}") for n in (2, 4, 8)},
    "BF16": np.dtype(ml_dtypes.bfloat16),
}


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """What the header says of one tensor.

    Attributes:
        dtype: NumPy dtype.
        shape: tuple of int.
        start: int, its first byte, counted from the beginning of the file.
        stop: int, the byte after its last.
    """

    dtype: np.dtype
    shape: tuple
    start: int
    stop: int


def read_header(stream, size, where):
    """Reads and checks the header of a safetensors file.

    The tensors it lists cover the rest of the file exactly, so that nothing takes more memory
    than the file has bytes.

    Args:
        stream: binary stream at the beginning of the file; afterwards at the first tensor.
        size: int, length of the file in bytes.
        where: how errors name the file.

    Returns:
        `(tensors, metadata)`: dict from name to `StoredTensor`, and dict from str to str.

    Raises:
        UntrustedFileError: saying what is wrong.
    """
    try:
        return _read_header(stream, size, where)
    except _Wrong as error:
        raise UntrustedFileError(f"{where} is not a readable safetensors file: {error}") from None


def read_tensors(path):
    """Reads the tensors of a safetensors file.

    Args:
        path: path of the file.

    Returns:
        Dict from name to NumPy array.

    Raises:
        OSError: the file cannot be read.
        UntrustedFileError: it is no safetensors file.
    """
    with open(path, "rb") as stream:
        tensors, _ = read_header(stream, os.fstat(stream.fileno()).st_size, path)
        arrays = {}
        for name, tensor in tensors.items():
            stream.seek(tensor.start)
            array = np.fromfile(stream, "uint8", tensor.stop - tensor.start)
            if len(array) != tensor.stop - tensor.start:
                raise UntrustedFileError(f"{path} was cut short while it was read.")
            arrays[name] = array.view(tensor.dtype).reshape(tensor.shape)
    return arrays


def unpack(data, where):
    """Returns the tensors in the bytes of a safetensors file, as views of these bytes.

    Args:
        data: bytes.
        where: how errors name the file.

    Returns:
        Dict from name to NumPy array.

    Raises:
        UntrustedFileError: not a safetensors file.
    """
    tensors, _ = read_header(io.BytesIO(data), len(data), where)
    return {
        name: np.frombuffer(data, tensor.dtype, math.prod(tensor.shape), tensor.start).reshape(
            tensor.shape
        )
        for name, tensor in tensors.items()
    }


def read_metadata(path):
    """Returns the metadata of a safetensors file, a dict from str to str.

    Args:
        path: path of a safetensors file, of which the header alone is read.

    Raises:
        OSError: the file cannot be read.
        UntrustedFileError: it is no safetensors file.
    """
    with open(path, "rb") as stream:
        return read_header(stream, os.fstat(stream.fileno()).st_size, path)[1]


def placeholders(path):
    """Returns an array for each tensor that has its dtype and shape, zeros and no memory.

    Args:
        path: path of a safetensors file, of which the header alone is read.

    Returns:
        Dict from name to NumPy array.

    Raises:
        OSError: the file cannot be read.
        UntrustedFileError: it is no safetensors file.
    """
    with open(path, "rb") as stream:
        tensors, _ = read_header(stream, os.fstat(stream.fileno()).st_size, path)
    return {name: np.broadcast_to(np.zeros((), t.dtype), t.shape) for name, t in tensors.items()}


class _Wrong(Exception):
    """What is wrong with a header."""


def _read_header(stream, size, where):
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > size - 8:
        raise _Wrong(f"its header of {length} bytes does not fit into its {size} bytes")
    if length > MAX_HEADER_BYTES:
        raise _Wrong(f"its header is longer than {MAX_HEADER_BYTES} bytes")
    text = stream.read(length)
    if text.count(b"data_offsets") > MAX_TENSORS:
        raise _Wrong(f"it holds more than {MAX_TENSORS} tensors")
    header = json_text.loads(text, f"the header of {where}", MAX_HEADER_BYTES)
    if not isinstance(header, dict):
        raise _Wrong("its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _Wrong("its metadata are no strings by name")
    tensors = {name: _tensor(name, entry, 8 + length) for name, entry in header.items()}
    position = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)):
        if tensor.start != position:
            raise _Wrong(f"{name!r} begins at byte {tensor.start}, not where the last one ended")
        position = tensor.stop
    if position != size:
        raise _Wrong(f"its tensors end at byte {position} of {size}")
    return tensors, metadata


def _tensor(name, entry, first):
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _Wrong(f"{name!r} has no dtype, shape and data_offsets")
    shape, offsets = entry["shape"], entry["data_offsets"]
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(
            type(n) is int and 0 <= n < 2**48 for n in numbers
        ):
            raise _Wrong(f"shape and data_offsets of {name!r} are no lists of lengths")
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise _Wrong(f"{name!r} is of the unknown dtype {entry['dtype']!r}")
    if len(shape) > _MAX_DIMENSIONS or len(offsets) != 2:
        raise _Wrong(f"{name!r} has {len(shape)} dimensions and {len(offsets)} offsets")
    start, stop = offsets
    if stop - start != math.prod(shape) * dtype.itemsize:
        raise _Wrong(f"{name!r} takes {stop - start} bytes, which is not what its shape takes")
    return StoredTensor(dtype, tuple(shape), first + start, first + stop)
