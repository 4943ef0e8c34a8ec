"""Finding images inside the files of TensorFlow Datasets, to read them without TensorFlow."""

import os
import struct

from keras_resnet.data.errors import DataError


def open_builder(name, data_dir, download):
    """Opens a data set of TensorFlow Datasets.

    Args:
        name: str, e.g. `"cifar10"`.
        data_dir: the folder of TFDS, or None for its default.
        download: bool, whether to download and prepare what is not there.

    Returns:
        A builder whose splits are prepared.

    Raises:
        DataError: TFDS does not know the data set, or it is not prepared.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise DataError(
            f"TensorFlow Datasets does not know {name!r} in {data_dir or 'its default folder'}: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    if download:
        builder.download_and_prepare()
    if not builder.info.splits:
        raise DataError(
            f"{name} is not prepared in {builder.data_dir}: pass `download=True` to fetch it, or "
            "the folder that holds it as `data_dir`."
        )
    return builder


class RecordFiles:
    """Finds images inside TFRecord files."""

    def __init__(self, folder):
        self._folder = os.fspath(folder)
        self._records = {}

    def locate(self, key, image):
        """Returns the path of the shard and the byte range of an encoded image in it.

        Args:
            key: String `<file>__<position>` as TFDS numbers its examples.
            image: Bytes of the encoded image.
        """
        file_name, _, position = key.rpartition("__")
        path = os.path.join(self._folder, file_name)
        if path not in self._records:
            self._records[path] = _record_ranges(path)
        offset, length = self._records[path][int(position)]
        with open(path, "rb") as file:
            file.seek(offset)
            found = file.read(length).find(image)
        if found < 0:
            raise DataError(f"The image of {key} is not stored as one piece in {path}.")
        return path, (offset + found, len(image))


def _record_ranges(path):
    """Offsets and lengths of the records in a TFRecord file.

    A record is its length (8 bytes), a checksum (4 bytes), the data, and another checksum.
    """
    if not os.path.isfile(path) or ".tfrecord" not in os.path.basename(path):
        raise DataError(f"{path} is no TFRecord file on this machine; only those can be read.")
    ranges, end = [], os.path.getsize(path)
    with open(path, "rb") as file:
        position = 0
        while position < end:
            file.seek(position)
            (length,) = struct.unpack("<Q", file.read(8))
            ranges.append((position + 12, length))
            position += 16 + length
    return ranges
