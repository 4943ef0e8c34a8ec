"""Opens the data sets that a configuration names, and says what is wrong with them."""

import contextlib
import re

from detection.data import DataError, load_dataset, verify_images

_BAD = ("missing_image", "undecodable_image", "size_mismatch")


def open_dataset(config, split):
    """Opens one split and checks its images.

    Args:
        config: a `detection.config.DataConfig`.
        split: `"train"` or `"val"`.

    Returns:
        A `DetectionDataset`; what was skipped or repaired is in its `problems`.

    Raises:
        ValueError: keys that the format needs are missing, or the data cannot be
            used; files and boxes are named.

    Example:

    ```python
    dataset = open_dataset(detection.load_config("quickstart").data, "val")
    print(dataset.summary())
    ```
    """
    dataset = load_dataset(config.format, **_OPTIONS[config.format](config, split))
    if config.verify == "off":
        return dataset
    found = verify_images(dataset, decode=config.verify == "decode")
    found.refuse(
        f"{dataset.name} has unusable images (allow leaving them out with `data.max_bad_images`)",
        _BAD,
        allowed=config.max_bad_images,
    )
    bad = {where for kind in _BAD for where, _ in found.of_kind(kind)}
    if bad:
        good = [i for i, record in enumerate(dataset.records) if record.where not in bad]
        dataset = dataset.subset(good)
        dataset.problems.merge(found)
    return dataset


@contextlib.contextmanager
def plain_data_errors():
    """Lets an image that breaks inside a pipeline be named by the reader's own error.

    TensorFlow wraps the `DataError` of a pipeline into an error of its own, with the
    stack trace in its text.

    Raises:
        DataError: naming the image.

    Example:

    ```python
    with plain_data_errors():
        model.fit(batches)
    ```
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        found = re.search(r"DataError: (.*)", str(error))
        if found is None:
            raise
        raise DataError(
            f"{found[1]} Set data.verify=decode to look for such images before training, and "
            "data.max_bad_images to leave them out."
        ) from None


def _coco(config, split):
    options = getattr(config, split)
    return {
        "images_dir": _needed(options.images, f"data.{split}.images", config),
        "annotations_file": _needed(options.annotations, f"data.{split}.annotations", config),
        "max_bad_images": config.max_bad_images,
    }


def _voc(config, split):
    return {
        "root": _needed(config.root, "data.root", config),
        "split": _needed(getattr(config, split).split, f"data.{split}.split", config),
        "classes": config.classes,
        "max_bad_images": config.max_bad_images,
    }


def _tfds(config, split):
    return {
        "name": _needed(config.name, "data.name", config),
        "split": _needed(getattr(config, split).split, f"data.{split}.split", config),
        "data_dir": config.root,
        "download": config.download,
        "max_bad_images": config.max_bad_images,
    }


def _shapes(config, split):
    folder = _needed(config.root, "data.root", config)
    return {"folder": folder, "split": split, **config.shapes.model_dump()}


_OPTIONS = {"coco": _coco, "voc": _voc, "tfds": _tfds, "shapes": _shapes}


def _needed(value, key, config):
    if value is None:
        raise ValueError(
            f"`{key}` is needed for data of the format {config.format!r}: set it in the config or "
            f"with `--set {key}=...`. Received: {key}=None"
        )
    return value
