"""safetensors files: bytes of a file, or a sound header that is spoiled."""

import copy
import json
import struct
import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy

from keras_resnet.untrusted import safetensors_file
from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.weights import files
from tests.fuzz.choices import Choices

_KEPT = tempfile.TemporaryDirectory()
_PATH = Path(_KEPT.name, "a.safetensors")
_ARRAYS = {
    "conv1.weight": np.arange(6, dtype="float32").reshape(2, 3),
    "flags": np.array([True, False]),
    "step": np.array(7, "int64"),
    "empty": np.zeros((0, 4), "float16"),
}
_SOUND = safetensors.numpy.save(_ARRAYS, {"keras_resnet": json.dumps({"preprocessing": "torch"})})
_LENGTH = int.from_bytes(_SOUND[:8], "little")
_HEADER, _CONTENT = json.loads(_SOUND[8 : 8 + _LENGTH]), _SOUND[8 + _LENGTH :]

# The first byte says whether the rest is the file or makes choices.
SEEDS = [b"\0" + _SOUND, b"\0" + struct.pack("<Q", 2) + b"{}"]
SEEDS += [bytes([1, i, 3 * i, i // 2, i]) for i in range(20)]


def one_input(data):
    """Reads a file; raises whatever is not the documented error."""
    content = data[1:]
    if data[:1] >= b"\1":
        header = Choices(data[1:]).spoil(copy.deepcopy(_HEADER))
        try:
            text = json.dumps(header).encode()
        except (ValueError, OverflowError):
            return
        content = struct.pack("<Q", len(text)) + text + _CONTENT
    _PATH.write_bytes(content)
    arrays = _read(lambda: safetensors_file.read_tensors(_PATH))
    unpacked = _read(lambda: safetensors_file.unpack(content, "bytes"))
    assert (arrays is None) == (unpacked is None)
    _read(lambda: files.read_safetensors(str(_PATH)))
    _read(lambda: files.read_notes(str(_PATH)))
    if arrays is None:
        return
    # No more memory than the file has bytes, and the same by either way.
    assert sum(array.nbytes for array in arrays.values()) <= len(content)
    for name, array in arrays.items():
        assert array.tobytes() == unpacked[name].tobytes()
        assert array.shape == safetensors_file.placeholders(_PATH)[name].shape


def _read(function):
    try:
        return function()
    except UntrustedFileError as error:
        assert str(error)
        return None
