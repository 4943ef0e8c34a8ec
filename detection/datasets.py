"""Opens the data sets that a configuration names, and says what is wrong with them."""

import os

from detection.data import DataError, join_datasets, load_dataset, split_dataset
from detection.data.checks import check_image_count, find_bad_images
from detection.data.csv_boxes import csv_class_names
from keras_resnet.data import errors
from keras_resnet.data.missing_paths import first_names
from keras_resnet.data.record_files import tfds_arguments


def open_dataset(config, split):
    """Opens one split, puts its parts together and checks its images.

    With `config.val_share`, both splits are parts of the data set for training.

    Args:
        config: a `detection.config.DataConfig`.
        split: `"train"` or `"val"`.

    Returns:
        A `DetectionDataset`; what was skipped or repaired is in its `problems` (with
        `config.val_share` in those of the training split).

    Raises:
        ValueError: keys that the format needs are missing, the data cannot be used
            (files and boxes are named), or the parts do not fit together.

    Example:

    ```python
    dataset = open_dataset(detection.load_config("quickstart").data, "val")
    print(dataset.summary())
    ```
    """
    # With several parts, the place of each in the list belongs to its key.
    source = _source(config, split)
    parts = config.parts(source)
    keys = [f"data.{source}" + (f".{i}" if len(parts) > 1 else "") for i in range(len(parts))]
    dataset = join_datasets(_open(config, split, *pair) for pair in zip(parts, keys))
    # All that readers and checks have left out of all parts.
    check_image_count(dataset.problems, config.max_bad_images, dataset.name)
    if not len(dataset):
        raise DataError(
            f"{dataset.name} has no images.\n{dataset.problems.summary()}{_there(config, parts)}"
        )
    if config.val_share is None:
        return dataset
    train, val = split_dataset(dataset, config.val_share, config.split_seed)
    return train if split == "train" else val


def _there(config, parts):
    """What is in the folders that a configuration names, as lines of a message."""
    named = [path for part in parts for path in (part.images, part.root or config.root)]
    folders = dict.fromkeys(path for path in named if path is not None and os.path.isdir(path))
    return "".join(f"\n  In {folder}: {first_names(folder)}" for folder in folders)


def _source(config, split):
    """The split of the configuration that holds the images of a split."""
    return split if config.val_share is None else "train"


def _open(config, split, part, key):
    options = _OPTIONS[config.format](config, split, part, key)
    with tfds_arguments("data.download=true", "data.root"):
        dataset = load_dataset(config.format, **options)
    if config.verify == "off":
        return dataset
    found = find_bad_images(dataset, decode=config.verify == "decode")
    for record, kind, detail in found:
        dataset.problems.add(kind, record.where, detail)
    if found:
        bad = {id(record) for record, _, _ in found}
        good = [i for i, record in enumerate(dataset.records) if id(record) not in bad]
        dataset = dataset.subset(good)
    return dataset


def plain_data_errors():
    """`keras_resnet.data.errors.plain_data_errors`, with what to do about a detector's data."""
    return errors.plain_data_errors(
        "Set data.verify=decode to look for such images before training, and "
        "data.max_bad_images to leave them out."
    )


def _coco(config, split, part, key):
    return {
        "images_dir": _needed(part.images, f"{key}.images", config),
        "annotations_file": _needed(part.annotations, f"{key}.annotations", config),
        "max_bad_images": config.max_bad_images,
        "follow_links": config.follow_links,
    }


def _voc(config, split, part, key):
    return {
        "root": _needed(part.root or config.root, "data.root", config),
        "split": _needed(part.split, f"{key}.split", config),
        "classes": config.classes,
        "keep_difficult": _keep_difficult(config, split),
        "max_bad_images": config.max_bad_images,
        "follow_links": config.follow_links,
    }


def _yolo(config, split, part, key):
    return {
        "data_yaml": _needed(part.root or config.root, "data.root", config),
        "split": part.split or _source(config, split),
        "max_bad_images": config.max_bad_images,
        "follow_links": config.follow_links,
    }


def _csv(config, split, part, key):
    return {
        "annotations_file": _needed(part.annotations, f"{key}.annotations", config),
        "images_dir": part.images,
        "classes": config.classes_file or config.classes or _csv_classes(config),
        "max_bad_images": config.max_bad_images,
        "follow_links": config.follow_links,
    }


def _csv_classes(config):
    """The classes in the files of all splits, so that all splits get the same."""
    parts = [*config.parts("train"), *config.parts("val")]
    files = [part.annotations for part in parts if part.annotations is not None]
    return csv_class_names(dict.fromkeys(files)) or None


def _tfds(config, split, part, key):
    return {
        "name": _needed(part.name or config.name, "data.name", config),
        "split": _needed(part.split, f"{key}.split", config),
        "data_dir": part.root or config.root,
        "download": config.download,
        "keep_difficult": _keep_difficult(config, split),
        "max_bad_images": config.max_bad_images,
    }


def _shapes(config, split, part, key):
    folder = _needed(config.root, "data.root", config)
    return {"folder": folder, "split": split, **config.shapes.model_dump()}


def _keep_difficult(config, split):
    # Evaluation needs them, to count detections of them neither as right nor as wrong.
    return config.keep_difficult or split != "train"


_OPTIONS = {
    "coco": _coco,
    "voc": _voc,
    "yolo": _yolo,
    "csv": _csv,
    "tfds": _tfds,
    "shapes": _shapes,
}


def _needed(value, key, config):
    if value is None:
        instead = ""
        if key.startswith("data.val."):
            instead = (
                " If there is one set only, data.val_share=0.2 sets a fifth of the training "
                "images apart (with data.val=null)."
            )
        raise ValueError(
            f"`{key}` is needed for data of the format {config.format!r}: set it in the config or "
            f"with `--set {key}=...`.{instead} Received: {key}=None"
        )
    return value
