"""Labelled images from NumPy arrays and `.npz` files."""

import zipfile
from pathlib import Path

import numpy as np

from keras_resnet.data.dataset import ImageDataset
from keras_resnet.data.missing_paths import tried
from keras_resnet.data.printable import printable

_SMALL, _MAX_RATIO = 2**28, 200  # Bytes; size over packed size.
_MAX_CLASSES = 1_000_000


def from_arrays(images, labels, class_names=None, name="arrays"):
    """A data set from arrays in memory.

    Args:
        images: uint8 array `(N, H, W, 3)`.
        labels: int array `(N,)` or `(N, 1)`.
        class_names: sequence of str; by default `"0"`, `"1"`, ... up to the largest label.
        name: str for messages.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: arrays of other shapes or dtypes, labels outside the classes.

    Example:
    >>> import numpy as np
    >>> from_arrays(np.zeros((2, 8, 8, 3), "uint8"), [0, 1]).class_names
    ('0', '1')
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if class_names is None:
        class_names = [str(i) for i in range(_largest(labels) + 1)]
    return ImageDataset(name, class_names, labels, images=images)


def load_npz(path, split, class_names=None):
    """A split of a `.npz` file with the arrays `x_<split>` and `y_<split>`.

    Without class names there are as many classes as the largest label of any split asks for, so
    that all splits have the same.

    Args:
        path: path of the file.
        split: str such as `"train"` or `"test"`.
        class_names: sequence of str, or None.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: no such file or arrays, or arrays that are not what they should be. Arrays of
            Python objects are refused: reading them can run code.

    Example:
    ```python
    data = load_npz("cifar10.npz", "train")
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no file {str(path)!r}.\n{tried(path)}")
    try:
        _refuse_bombs(path)
        arrays = np.load(path, allow_pickle=False)
    except Exception as error:  # zipfile and NumPy raise of many kinds on damaged files.
        raise _unreadable(path, error) from None
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise ValueError(f"{path} is not a .npz file but a single array.")
    found = sorted(arrays.files)
    wanted = (f"x_{split}", f"y_{split}")
    missing = [key for key in wanted if key not in found]
    if missing:
        raise ValueError(
            f"{path} has no array {' and '.join(missing)}. Received: split={split!r}; "
            f"its arrays are {printable(', '.join(found))}"
        )
    try:
        with arrays:
            images, labels = (arrays[key] for key in wanted)
            if class_names is None:
                top = max(_largest(arrays[key]) for key in found if key.startswith("y_"))
    except Exception as error:
        raise _unreadable(path, error) from None
    if class_names is None:
        if top > _MAX_CLASSES:
            raise ValueError(f"{path} has labels up to {top}, more than {_MAX_CLASSES:,} classes.")
        class_names = [str(i) for i in range(top + 1)]
    return from_arrays(images, labels, class_names, name=f"{path.name} {split}")


def _refuse_bombs(path):
    """Refuses files that unpack to hundreds of times their size, as no images do."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            size, packed = member.file_size, member.compress_size
            if size > _SMALL and size > _MAX_RATIO * packed:
                raise ValueError(
                    f"{printable(member.filename)} unpacks from {packed:,} to {size:,}"
                )


def _unreadable(path, error):
    return ValueError(f"{path} is not a readable .npz file: {error or type(error).__name__}")


def _largest(labels):
    """The largest label; 0 for labels that are no integers, which are refused later."""
    return int(labels.max(initial=0)) if np.issubdtype(labels.dtype, np.integer) else 0
