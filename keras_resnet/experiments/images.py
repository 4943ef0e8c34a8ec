"""The images of an experiment: read once, and described for comparison."""

import hashlib
from pathlib import Path

import numpy as np

from keras_resnet.classification.config import load_classifier_config
from keras_resnet.classification.feeds import open_images


def image_overrides(data, download=False):
    """Says where the images are, as overrides of a recipe.

    Args:
        data: path of a `.npz` file, of a folder or archive of the CIFAR-10 files, or `"tfds"` or
            `"tfds:FOLDER"` for `cifar10` of TensorFlow Datasets.
        download: bool, whether TensorFlow Datasets may download.

    Returns:
        List of str.

    Raises:
        ValueError: there is no such file or folder.

    Example:
    >>> image_overrides("tfds:datasets")[:2]
    ['data.format=tfds', 'data.name=cifar10']
    """
    source, _, data_dir = data.partition(":")
    if source == "tfds":
        root = _quoted(data_dir) if data_dir else "null"
        allowed = str(download).lower()
        names = ["data.format=tfds", "data.name=cifar10"]
        return [*names, f"data.root={root}", f"data.download={allowed}"]
    if download:
        raise ValueError(f"`download` is for `data` tfds; leave it out. Received: data={data!r}")
    path = Path(data)
    if not path.exists():
        raise ValueError(
            "`data` must be a .npz file, a folder or archive of the CIFAR-10 files, or tfds. There "
            f"is nothing at {str(path)!r}. Received: data={data!r}"
        )
    kind = "npz" if path.suffix == ".npz" else "cifar10"
    return [f"data.format={kind}", f"data.root={_quoted(path)}"]


def read_images(overrides):
    """Reads both splits.

    Args:
        overrides: what `image_overrides` returned.

    Returns:
        `(train, test, overrides)`: two `ImageDataset`s and the overrides with the size of the
        images.
    """
    config = load_classifier_config("cifar10_resnet20", overrides).data
    train, test = open_images(config, "train"), open_images(config, "val")
    height, width = train.images.shape[1:3]
    if height != width or test.images.shape[1:] != train.images.shape[1:]:
        raise ValueError(
            "The images must be squares of one size. Received: "
            f"train {train.images.shape[1:]}, test {test.images.shape[1:]}"
        )
    return train, test, [*overrides, f"data.pipeline.image_size={height}"]


def describe_images(train, test):
    """What identifies the images of an experiment, wherever they lie: counts and a hash."""
    digest = hashlib.sha256()
    for dataset in (train, test):
        digest.update(np.ascontiguousarray(dataset.images))
        digest.update(np.ascontiguousarray(dataset.labels))
    return {"train": len(train), "test": len(test), "sha256": digest.hexdigest()[:16]}


def _quoted(path):
    # As a YAML string, whatever is in it.
    return "'" + str(path).replace("'", "''") + "'"
