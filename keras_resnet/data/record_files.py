"""Finding images inside the files of TensorFlow Datasets, to read them without TensorFlow."""

import contextlib
import glob
import json
import os
import struct

from keras_resnet.data.errors import DataError
from keras_resnet.data.printable import printable


class NotPrepared(DataError):
    """A data set of TensorFlow Datasets that is not on this machine, and what to do about it.

    Args:
        what: str, which data set, and where it was looked for.
        download: str, how to allow the download.
        data_dir: str, how to name the folder of TFDS.
    """

    def __init__(self, what, download="`download=True`", data_dir="`data_dir`"):
        self.what = what
        super().__init__(
            f"{what}. Allow the download by {download}, or name the folder that holds it by "
            f"{data_dir}."
        )


@contextlib.contextmanager
def tfds_arguments(download, data_dir):
    """Within it, advice names arguments as those know them who gave them.

    Args:
        download: str, how to allow the download.
        data_dir: str, how to name the folder of TFDS.

    Raises:
        NotPrepared: in these words.
    """
    try:
        yield
    except NotPrepared as error:
        raise NotPrepared(error.what, download, data_dir) from error


def open_builder(name, data_dir, download):
    """Opens a data set of TensorFlow Datasets.

    Args:
        name: str, e.g. `"cifar10"`.
        data_dir: the folder of TFDS, or None for its default.
        download: bool, whether to download and prepare what is not there.

    Returns:
        A builder whose splits are prepared.

    Raises:
        NotPrepared: the data set is not there.
        DataError: TFDS does not know it, or reading it would run code that is not that of TFDS.
    """
    import tensorflow_datasets as tfds

    if ":" in name:
        raise DataError(
            "Only data sets of TensorFlow Datasets itself and those prepared on this machine are "
            f"read: TFDS would download and run the code of others. Received: name={name!r}"
        )
    _refuse_foreign_classes(name, data_dir or os.path.expanduser(tfds.core.constants.DATA_DIR))
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # TFDS raises of many kinds on damaged files.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"TensorFlow Datasets does not know {name!r} in {data_dir or 'its default folder'}: "
            f"{printable(lines[0])}"
        ) from error
    if download:
        builder.download_and_prepare()
    if not builder.info.splits:
        raise NotPrepared(f"{name} is not prepared in {builder.data_dir}")
    return builder


def read_examples(builder, name, split, decoders):
    """Iterates over the examples of a split in the order of the files.

    Args:
        builder: what `open_builder` returned.
        name: str for messages.
        split: str, e.g. `"train"` or `"train[:10%]"`.
        decoders: as for `builder.as_dataset`.

    Yields:
        Dicts of NumPy arrays; `"tfds_id"` says where an example is stored.

    Raises:
        DataError: there is no such split, or its files are damaged.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    config = tfds.ReadConfig(add_tfds_id=True, interleave_cycle_length=1)
    try:
        examples = builder.as_dataset(
            split=split, shuffle_files=False, read_config=config, decoders=decoders
        )
    except ValueError as error:
        raise DataError(
            f"{name} has the splits {', '.join(builder.info.splits)}. "
            f"Received: split={split!r} ({printable(str(error).strip().splitlines()[0])})"
        ) from error
    try:
        yield from tfds.as_numpy(examples)
    except tf.errors.OpError as error:
        raise DataError(
            f"{name}, split {split!r}, is damaged: {printable(error.message.splitlines()[0])}"
        ) from error


def _refuse_foreign_classes(name, data_dir):
    """Refuses prepared data whose description names classes for TFDS to import."""
    folder = os.path.join(os.fspath(data_dir), name.split("/")[0])
    for path in glob.glob(os.path.join(glob.escape(folder), "**", "features.json"), recursive=True):
        try:
            with open(path, encoding="utf-8") as file:
                wanted = _class_names_in(json.load(file))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path} is not readable JSON: {error}.") from error
        foreign = [text for text in wanted if not text.startswith("tensorflow_datasets.core.")]
        if foreign:
            raise DataError(
                f"{path} asks for {printable(foreign[0])}, which is no part of TensorFlow "
                "Datasets; reading the data would import it."
            )


def _class_names_in(content):
    """What stands in a description at the places where TFDS expects names of classes."""
    waiting, found = [content], []
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            keys = ("pythonClassName", "python_class_name", "type")
            found += [value[key] for key in keys if isinstance(value.get(key), str)]
            if isinstance(value.get("json"), str):
                waiting.append(json.loads(value["json"]))
    return found


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
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else end
            if position + 16 + length > end:
                raise DataError(f"{path} is damaged: its record {len(ranges)} ends after the file.")
            ranges.append((position + 12, length))
            position += 16 + length
    return ranges
