"""HDF5 files: only plain arrays inside the file itself, of shapes that are known before reading."""

import contextlib
import math

import numpy as np

from keras_resnet.untrusted.errors import UntrustedFileError

_MAX_OBJECTS = 100_000
_MAX_DEPTH = 32
# What compression makes of weights stays far below; of zeros it makes a thousandth.
_MAX_RATIO = 20
_SMALL = 2**20
_BUILT_IN_FILTERS = (1, 2, 3)  # deflate, shuffle, checksum: others are loaded as plug-ins


@contextlib.contextmanager
def open_arrays(source, where):
    """Opens an HDF5 file of which every object was checked.

    Args:
        source: path, or binary stream.
        where: how errors name the file.

    Yields:
        `(file, datasets)`: `h5py.File`, and dict from the path inside the file to `h5py.Dataset`,
        of arrays of numbers only.

    Raises:
        UntrustedFileError: the file is damaged, or holds links, data kept in other files, virtual
            data, other types than numbers, or shapes that take more memory than the file has data.
    """
    import h5py

    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(source, "r"))
            datasets = _datasets(file, where)
        except UntrustedFileError:
            raise
        # A ValueError is a name that is no text.
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise UntrustedFileError(f"{where} is not a readable weights file: {error}") from None
        yield file, datasets


def read_arrays(datasets, where):
    """Reads checked datasets.

    Args:
        datasets: dict from name to `h5py.Dataset` of `open_arrays`.
        where: how errors name the file.

    Returns:
        Dict from name to NumPy array.

    Raises:
        UntrustedFileError: the data is damaged.
    """
    try:
        return {name: dataset[()] for name, dataset in datasets.items()}
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise UntrustedFileError(f"{where} is not a readable weights file: {error}") from None


def placeholders(datasets):
    """Returns for each dataset an array of its dtype and shape, zeros and no memory."""
    return {
        name: np.broadcast_to(np.zeros((), dataset.dtype), dataset.shape)
        for name, dataset in datasets.items()
    }


def _datasets(file, where):
    import h5py

    found, seen, waiting = {}, set(), [("", file, 0)]
    while waiting:
        path, group, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise UntrustedFileError(f"{where} is nested more than {_MAX_DEPTH} groups deep.")
        for name in group:
            here = f"{path}/{name}" if path else name
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise UntrustedFileError(
                    f"{where} holds a link, {here!r}, which may lead out of the file; weights "
                    "files have none."
                )
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise UntrustedFileError(f"{where} holds one object twice, as {here!r}.")
            seen.add(address)
            if len(seen) > _MAX_OBJECTS:
                raise UntrustedFileError(f"{where} holds more than {_MAX_OBJECTS} objects.")
            if isinstance(item, h5py.Group):
                waiting.append((here, item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                if _holds_numbers(item, here, where):
                    found[here] = item
            else:
                raise UntrustedFileError(f"{where} holds {here!r}, which is no array.")
    return found


def _holds_numbers(dataset, name, where):
    """Whether a dataset is an array of numbers, or the single text that other tools may leave."""

    def refuse(reason):
        raise UntrustedFileError(f"{where}: the array {name!r} {reason}.")

    if dataset.is_virtual or dataset.external:
        refuse("keeps its data in other files")
    if dataset.shape is None or dataset.dtype.kind not in "fiub":
        # A null dataspace; or text, references, structures.
        if dataset.dtype.kind not in "SO" or dataset.shape not in ((), (1,)):
            refuse(f"is of the type {dataset.dtype}, not numbers")
        return False
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
    if any(number not in _BUILT_IN_FILTERS for number in filters):
        refuse(f"is compressed in a way that needs a plug-in (filter {filters})")
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    allowed = max(_SMALL, _MAX_RATIO * stored) if dataset.chunks else stored
    if declared > allowed:
        refuse(f"declares {declared} bytes, and the file holds {stored} for it")
    return True
