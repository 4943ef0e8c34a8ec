"""`.weights.h5` files."""

import io
import tempfile
from pathlib import Path

import h5py
import numpy as np

from keras_resnet.untrusted import hdf5_file
from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.weights import files, keras_applications

_KEPT = tempfile.TemporaryDirectory()
_PATH = Path(_KEPT.name, "a.weights.h5")
MAX_BYTES = 2**26  # What a file of some kilobytes may be read into: twenty times, or a MiB each.


def _file(write, **options):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        write(file)
    return buffer.getvalue()


def _plain(file):
    file["layers/dense/vars/0"] = np.arange(6, dtype="float32").reshape(2, 3)
    file["layers/dense/vars/1"] = np.zeros(3, "float16")
    file.attrs["layer_names"] = [b"dense"]


def _packed(file):
    file.create_dataset(
        "layers/a/vars/0", data=np.arange(64.0), chunks=(16,), compression="gzip", shuffle=True
    )


def _links(file):
    _plain(file)
    file["soft"] = h5py.SoftLink("/layers/dense/vars/0")
    file["out"] = h5py.ExternalLink("other.h5", "/a")


def _text(file):
    file["text"] = "evil"
    file["null"] = h5py.Empty("f")


SEEDS = [_file(write) for write in (_plain, _packed, _links, _text)]
SEEDS += [_file(_plain, libver="latest")]


def one_input(data):
    """Reads a file; raises whatever is not the documented error."""
    _PATH.write_bytes(data)
    try:
        with hdf5_file.open_arrays(_PATH, "file") as (_, datasets):
            arrays = hdf5_file.read_arrays(datasets, "file")
        assert sum(getattr(array, "nbytes", 0) for array in arrays.values()) <= MAX_BYTES
    except UntrustedFileError as error:
        assert str(error)
    for read in (files.read_keras, keras_applications.read_file):
        try:
            read(str(_PATH))
        except UntrustedFileError as error:
            assert str(error)
