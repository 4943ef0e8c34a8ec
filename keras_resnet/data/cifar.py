"""CIFAR-10 and CIFAR-100 from the files of their authors."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

from keras_resnet.data.arrays import from_arrays, load_npz

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


def load_cifar(path, split, classes=10):
    """A split of CIFAR-10 or CIFAR-100.

    Args:
        path: the folder or `.tar.gz` of the "python" or the "binary" version as published, or a
            `.npz` with `x_train, y_train, x_test, y_test`. The pickles of the "python" version
            are read by an unpickler that makes arrays and nothing else.
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
        names = files.read(names_text).decode().split()
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
            raise ValueError(f"There is no folder or file {str(path)!r}.")
        found = [path, *sorted(p for p in path.iterdir() if p.is_dir() and "cifar" in p.name)]
        self._files = {f.name: f for p in reversed(found) for f in p.iterdir() if f.is_file()}

    def names(self):
        return sorted(self._files)

    def has(self, names):
        return all(name in self._files for name in names)

    def read(self, name):
        if name not in self._files:
            raise ValueError(f"The file {name} is missing beside {', '.join(self.names()[:8])}.")
        return self._files[name].read_bytes()


class _Archive(_Folder):
    """Files of a tar archive by name."""

    def __init__(self, path):
        self._path = path
        try:
            with tarfile.open(path) as archive:
                self._files = {Path(m.name).name: m.name for m in archive if m.isfile()}
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ValueError(f"{path} is not a readable tar archive: {error}") from None

    def read(self, name):
        if name not in self._files:
            raise ValueError(f"{self._path} has no file {name}.")
        try:
            with tarfile.open(self._path) as archive:
                return archive.extractfile(self._files[name]).read()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ValueError(f"{self._path} is not a readable tar archive: {error}") from None


class _ArraysOnly(pickle.Unpickler):
    """Makes the arrays, lists and texts of the published files and refuses all else."""

    _ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module, name):
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        if name == "_reconstruct":
            from numpy._core import multiarray

            return multiarray._reconstruct
        return super().find_class(module, name)


# What a file that is no pickle, or only a part of one, makes of an unpickler.
_BROKEN_PICKLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


def _unpickle(files, name):
    try:
        content = _ArraysOnly(io.BytesIO(files.read(name)), encoding="bytes").load()
    except _BROKEN_PICKLE as error:
        raise ValueError(f"{name} is not a file of the CIFAR python version: {error}.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{name} is not a file of the CIFAR python version: it holds no dict.")
    return content


def _read_python(files, name, label_key):
    content = _unpickle(files, name)
    images, labels = content.get(b"data"), content.get(label_key)
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or not isinstance(labels, list)
        or not all(isinstance(label, int) for label in labels)
        or images.shape != (len(labels), _PIXELS)
    ):
        raise ValueError(f"{name} does not hold 32x32 RGB images and one label for each.")
    return images, np.asarray(labels, "int64")


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
