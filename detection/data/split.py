"""Setting some of a data set's images apart for validation."""

import concurrent.futures
import hashlib

from detection.data.dataset import DetectionDataset
from detection.data.images import read_bytes
from detection.data.problems import DataError, Problems


def split_dataset(dataset, val_share, seed=0):
    """Splits a data set into images to train on and images to validate with.

    Each image goes to one side by a hash of its bytes and the seed alone: the same on every
    machine, in every order, under every name. Images that are added or removed later do not move
    the others, and copies of an image are on one side. So the share is met approximately: of 200
    images a share of 0.2 is 40, give or take 6. Both sides get an image at least.

    Args:
        dataset: A `DetectionDataset`.
        val_share: Float between 0 and 1, the share of the images to set apart.
        seed: Integer. Another seed sets others apart.

    Returns:
        A tuple `(train, val)` of `DetectionDataset`. What was found while reading is told by the
        first one only.

    Raises:
        DataError: If there are fewer than two different images.

    Example:

    ```python
    train, val = split_dataset(load_coco("photos", "photos.json"), 0.2)
    ```
    """
    if not 0 < val_share < 1:
        raise ValueError(f"`val_share` must be between 0 and 1. Received: val_share={val_share}")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        places = list(pool.map(lambda record: _place(record, seed), dataset.records))
    if len(set(places)) < 2:
        raise DataError(
            f"{dataset.name} has {len(set(places))} different images; at least 2 are needed to set "
            f"some apart for validation. Received: val_share={val_share}"
        )
    border = val_share * 2.0**64
    # Of few images it may be that all are on one side.
    border = min(max(border, min(places) + 1), max(places))
    sides = [[i for i, place in enumerate(places) if (place < border) == val] for val in (0, 1)]
    train, val = (dataset.subset(side) for side in sides)
    return (
        DetectionDataset(
            f"{dataset.name}_train", train.categories, train.records, dataset.problems
        ),
        DetectionDataset(f"{dataset.name}_val", val.categories, val.records, Problems()),
    )


def _place(record, seed):
    """An integer of 64 bits, evenly distributed."""
    try:
        content = hashlib.sha256(read_bytes(record.image_path, record.byte_range)).digest()
    except DataError:  # Named where the image is needed.
        content = record.where.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(b"%d\n" % seed + content).digest()
    return int.from_bytes(digest[:8], "big")
