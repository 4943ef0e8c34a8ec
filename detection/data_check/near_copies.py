"""Images in two splits that look alike: other encodings, other sizes, neighbouring frames."""

import concurrent.futures
import io

import numpy as np
from PIL import Image

from detection.data import DataError
from detection.data.images import read_bytes
from detection.data_check.suspicious import Finding
from keras_resnet.data.images import FORMATS, MAX_PIXELS

SAME_BITS = 10  # Of 256, up to which two images look alike.
MAX_IMAGES = 20_000  # Each is decoded once more, and compared with all of the other splits.
_SIDE = 16
_FLAT = 4.0  # Grey levels: with less contrast, noise decides the bits.
_BLOCK = 256


def find_near_copies(datasets):
    """Images that look like one of an earlier split without being the same file.

    Compares whether each of 16 x 16 cells of the grey image is brighter than the one on its left
    (a difference hash). Does nothing for more than `MAX_IMAGES` images.

    Args:
        datasets: Dict from split to `DetectionDataset`.

    Yields:
        `Finding` of the kind `"near_copy_in_splits"`.
    """
    if len(datasets) < 2 or sum(map(len, datasets.values())) > MAX_IMAGES:
        return
    earlier = []
    for split, dataset in datasets.items():
        hashes, known = _hashes(dataset)
        for other, other_dataset, other_hashes, other_known in earlier:
            for index, first in _alike(hashes, known, other_hashes, other_known):
                record, like = dataset.records[index], other_dataset.records[first]
                if not _same_bytes(record, like):
                    detail = f"in {other} {like.where}"
                    yield Finding("near_copy_in_splits", split, record.where, detail, index)
        earlier.append((split, dataset, hashes, known))


def difference_hash(data):
    """The hash of an image.

    Args:
        data: Bytes of an encoded image.

    Returns:
        uint64 array `(4,)`, or `None` where the image does not decode, or shows next to nothing.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("L", (8 * _SIDE, 8 * _SIDE))  # JPEG decodes to an eighth for less.
            small = image.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX)
    except Exception:  # Pillow raises of many kinds on damaged files, which are told elsewhere.
        return None
    grey = np.asarray(small, "float32")
    if grey.std() < _FLAT:
        return None
    return np.packbits(grey[:, 1:] > grey[:, :-1]).view("uint64")


def _hashes(dataset):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(_hash, dataset.records))
    known = np.array([row is not None for row in found], bool)
    empty = np.zeros(4, "uint64")
    return np.array([empty if row is None else row for row in found]).reshape(-1, 4), known


def _hash(record):
    try:
        return difference_hash(read_bytes(record.image_path, record.byte_range))
    except DataError:
        return None


def _alike(hashes, known, others, others_known):
    """Pairs (position, the first position among the others that looks alike)."""
    for start in range(0, len(hashes), _BLOCK):
        block = slice(start, start + _BLOCK)
        bits = np.bitwise_count(hashes[block, None] ^ others).sum(axis=-1, dtype="int32")
        same = (bits <= SAME_BITS) & known[block, None] & others_known
        for row in np.flatnonzero(same.any(axis=1)):
            yield start + int(row), int(same[row].argmax())


def _same_bytes(record, other):
    return read_bytes(record.image_path, record.byte_range) == read_bytes(
        other.image_path, other.byte_range
    )
