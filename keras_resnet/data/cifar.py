"""CIFAR-10 and CIFAR-100 from the files of their authors."""

import contextlib
import gzip
import io
import os
import pickle
import pickletools
import tarfile
import zlib
from pathlib import Path

import numpy as np

from keras_resnet.data.arrays import from_arrays, load_npz
from keras_resnet.data.missing_paths import tried

# classes: (training files, test files, label key, coarse label bytes before the fine one)
_PYTHON = {
    10: ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"], b"labels"),
    100: (["train"], ["test"], b"fine_labels"),
}
_BINARY = {
    10: ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"], 1),
    100: (["train.bin"], ["test.bin"], 2),
}
_NAMES = {
    10: ("batches.meta", b"label_names", "batches.meta.txt"),
    100: ("meta", b"fine_label_names", "fine_label_names.txt"),
}
_PIXELS = 3 * 32 * 32
_MAX_BYTES = 2**29  # Of one file; the largest published has 150 MiB.


def load_cifar(path, split, classes=10):
    """A split of CIFAR-10 or CIFAR-100.

    Args:
        path: the folder or `.tar.gz` of the "python" or the "binary" version as published, or a
            `.npz` with `x_train, y_train, x_test, y_test`. The pickles of the "python" version
            are read by an unpickler that makes lists, texts and bytes, and nothing else.
        split: `"train"` or `"test"`.
        classes: 10 or 100.

    Returns:
        An `ImageDataset` in the order of the files.

    Raises:
        ValueError: the files are not there or hold something else.

    Reference:
        [Krizhevsky, 2009](https://www.cs.toronto.edu/~kriz/cifar.html)

    Example:
    ```python
    train = load_cifar("cifar-10-python.tar.gz", "train")
    ```
    """
    path = Path(path)
    if split not in ("train", "test"):
        raise ValueError(f"`split` must be 'train' or 'test'. Received: split={split!r}")
    if classes not in _PYTHON:
        raise ValueError(f"`classes` must be 10 or 100. Received: classes={classes}")
    if path.suffix == ".npz":
        return load_npz(path, split)
    if path.is_file() and path.suffix == ".bin":
        path = path.parent
    files = _Archive(path) if path.is_file() else _Folder(path)
    which = 0 if split == "train" else 1
    python, binary = _PYTHON[classes], _BINARY[classes]
    names_file, names_key, names_text = _NAMES[classes]
    if files.has(python[which]):
        parts = [_read_python(files, name, python[2]) for name in python[which]]
        names = _read_names(files, names_file, names_key)
    elif files.has(binary[which]):
        parts = [_read_binary(files, name, binary[2], classes) for name in binary[which]]
        names = files.read(names_text).decode("ascii", "replace").split()
    else:
        raise ValueError(
            f"{path} holds no CIFAR-{classes} {split} set. Expected {', '.join(python[which])} "
            f"or {', '.join(binary[which])}; found: {', '.join(files.names()[:8]) or 'nothing'}"
        )
    images = np.concatenate([images for images, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    images = np.ascontiguousarray(images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return from_arrays(images, labels, names, name=f"CIFAR-{classes} {split}")


class _Folder:
    """Files of a folder, or of the one that the published archive makes in it, by name."""

    def __init__(self, path):
        if not path.is_dir():
            raise ValueError(
                f"There is no folder or file {str(path)!r}. Give the archive of CIFAR as published "
                f"(cifar-10-python.tar.gz), or the folder that it unpacks to.\n{tried(path)}"
            )
        found = [path, *sorted(p for p in path.iterdir() if p.is_dir() and "cifar" in p.name)]
        self._files = {f.name: f for p in reversed(found) for f in p.iterdir() if f.is_file()}

    def names(self):
        return sorted(self._files)

    def has(self, names):
        return all(name in self._files for name in names)

    def read(self, name):
        if name not in self._files:
            raise ValueError(f"The file {name} is missing beside {', '.join(self.names()[:8])}.")
        if self._files[name].stat().st_size > _MAX_BYTES:
            raise ValueError(f"{name} is larger than {_MAX_BYTES:,} bytes.")
        return self._files[name].read_bytes()


class _Archive(_Folder):
    """Files of a tar archive by name; they are read from it and never written anywhere."""

    def __init__(self, path):
        self._path = path
        with self._opened() as archive:
            self._files = {Path(m.name).name: m.name for m in archive if m.isfile()}

    def read(self, name):
        if name not in self._files:
            raise ValueError(f"{self._path} has no file {name}.")
        with self._opened() as archive:
            return archive.extractfile(self._files[name]).read()

    @contextlib.contextmanager
    def _opened(self):
        try:
            with open(self._path, "rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
                file.seek(0)
                plain = gzip.GzipFile(fileobj=file) if packed else file
                with tarfile.open(fileobj=_Bounded(plain), mode="r:") as archive:
                    yield archive
        # A KeyError is a link to a member that is not there.
        except (tarfile.TarError, OSError, EOFError, KeyError, zlib.error) as error:
            raise ValueError(f"{self._path} is not a readable tar archive: {error}") from None


class _Bounded:
    """A file that gives up where a small archive turns out to unpack to a huge one."""

    def __init__(self, file):
        self._file = file
        self.tell = file.tell

    def read(self, size):
        if size > _MAX_BYTES:
            raise OSError(f"one of its parts is larger than {_MAX_BYTES:,} bytes")
        return self._file.read(size)

    def seek(self, position, whence=os.SEEK_SET):
        if whence == os.SEEK_SET and position > 4 * _MAX_BYTES:
            raise OSError(f"it unpacks to more than {4 * _MAX_BYTES:,} bytes")
        return self._file.seek(position, whence)


class _Array:
    """Stands in for an array of a pickle: takes its parts, of which we make one ourselves.

    NumPy believes what a pickle says about an array, whatever it does to the memory.
    """

    parts = None

    def __setstate__(self, state):
        self.parts = state


class _Dtype:
    """Stands in for an array's type: takes its name."""

    def __init__(self, name):
        self.name = name.decode("latin1") if isinstance(name, bytes) else name

    def __setstate__(self, state):
        pass


class _PartsOnly(pickle.Unpickler):
    """Makes the lists and texts of the published files and takes the parts of their arrays."""

    def find_class(self, module, name):
        # New functions for each name: a pickle may set attributes of what it gets.
        made = {
            ("numpy.core.multiarray", "_reconstruct"): lambda *arguments: _Array(),
            ("numpy._core.multiarray", "_reconstruct"): lambda *arguments: _Array(),
            ("numpy", "ndarray"): None,
            ("numpy", "dtype"): lambda name, *flags: _Dtype(name),
            # How protocols before 3 write bytes.
            ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
        }
        if (module, name) not in made:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return made[module, name]


# Opcodes that the published files and those of NumPy before protocol 5 have no use for.
_REFUSED = {"EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID", "BINPERSID"}
_MAX_MEMO = 2**22


def _check_opcodes(content):
    """Walks over a pickle without doing what it says."""
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in _REFUSED:
            raise pickle.UnpicklingError(f"it holds the opcode {opcode.name}")
        # The unpickler reserves memory up to the number.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument) > _MAX_MEMO:
            raise pickle.UnpicklingError(f"it numbers an object {argument}")


# What a file that is no pickle, or only a part of one, makes of an unpickler.
_BROKEN_PICKLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


def _unpickle(files, name):
    try:
        content = files.read(name)
        _check_opcodes(content)
        content = _PartsOnly(io.BytesIO(content), encoding="bytes").load()
    except _BROKEN_PICKLE as error:
        raise ValueError(f"{name} is not a file of the CIFAR python version: {error}.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{name} is not a file of the CIFAR python version: it holds no dict.")
    return content


def _read_python(files, name, label_key):
    content = _unpickle(files, name)
    images, labels = _pixels(content.get(b"data")), content.get(label_key)
    if (
        images is None
        or not isinstance(labels, list)
        or not all(type(label) is int and abs(label) < 2**31 for label in labels)
        or images.shape != (len(labels), _PIXELS)
    ):
        raise ValueError(f"{name} does not hold 32x32 RGB images and one label for each.")
    return images, np.asarray(labels, "int64")


def _pixels(value):
    """The uint8 array that an `_Array` describes, or None if it describes none."""
    try:
        _, (rows, columns), dtype, fortran, data = value.parts
        names_bytes = isinstance(dtype, _Dtype) and dtype.name in ("u1", "|u1")
        # Text times a number is a longer text.
        if not names_bytes or (type(rows), type(columns)) != (int, int):
            return None
        if len(data) != rows * columns:
            return None
        order = "F" if fortran else "C"
        return np.frombuffer(data, "uint8").reshape((rows, columns), order=order)
    except (AttributeError, TypeError, ValueError):
        return None


def _read_names(files, name, key):
    names = _unpickle(files, name).get(key)
    if not isinstance(names, list) or not all(isinstance(n, bytes) for n in names):
        raise ValueError(f"{name} does not hold the names of the classes.")
    return [n.decode("ascii", "replace") for n in names]


def _read_binary(files, name, label_bytes, classes):
    content = np.frombuffer(files.read(name), "uint8")
    row = label_bytes + _PIXELS
    if len(content) == 0 or len(content) % row:
        raise ValueError(
            f"{name} is not a file of the CIFAR-{classes} binary version: its length is not a "
            f"multiple of {row} bytes. Received: {len(content)} bytes"
        )
    content = content.reshape(-1, row)
    return content[:, label_bytes:], content[:, label_bytes - 1].astype("int64")
