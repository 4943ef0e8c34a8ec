"""Reading data sets that TensorFlow Datasets has prepared."""

import os

from detection.data.checks import check_box
from detection.data.coco_categories import COCO_ID_OF
from detection.data.dataset import Category, DetectionDataset, Record
from detection.data.images import image_size
from detection.data.problems import DataError, Problems
from keras_resnet.data.missing_paths import tried
from keras_resnet.data.record_files import NotPrepared, RecordFiles, open_builder, read_examples


def load_tfds(name, split, data_dir=None, download=False, keep_difficult=True, max_bad_images=0):
    """Reads a split of a TensorFlow Datasets builder with `image` and `objects` features.

    The annotations are read once; images stay in the TFRecord files and are read from there by
    position, so that a data set larger than the memory works, also in the loader that does not
    use TensorFlow. For `coco` builders the categories get COCO's official ids back, for `voc`
    builders the corners, which TFDS keeps counting from 1, are moved as by `load_voc`.

    Args:
        name: String, e.g. `"coco/2017"`, `"voc/2007"` or any other builder.
        split: String, e.g. `"train"` or `"train[:10%]"`.
        data_dir: Optional string, the folder of TFDS.
        download: Boolean, whether to download and prepare what is not there. COCO takes about
            25 GB.
        keep_difficult: Boolean, whether to keep objects marked as difficult (`is_difficult`), as
            for `load_voc`.
        max_bad_images: Integer, how many images that do not decode to leave out before refusing.

    Returns:
        A `DetectionDataset`. Image ids are those of the feature `image/id`, else the names of the
        feature `image/filename` without extension, else the positions in the TFRecord files.

    Raises:
        DataError: If the data set is not there, is no detection data set or is not stored in
            TFRecord files.

    Example:

    ```python
    dataset = load_tfds("voc/2007", "train", download=True)
    ```
    """
    import tensorflow_datasets as tfds

    try:
        builder = open_builder(name, data_dir, download)
    except DataError as error:
        if ":" in name or isinstance(error, NotPrepared):  # refused; says where it would be
            raise
        folder = data_dir or os.path.expanduser(tfds.core.constants.DATA_DIR)
        raise DataError(f"{error}\n{tried(os.path.join(folder, name))}") from error
    names = _class_names(name, builder.info.features)
    dataset_name = builder.name
    decoders = {"image": tfds.decode.SkipDecoding()}
    problems, records = Problems(), []
    shards = RecordFiles(builder.data_dir)
    for example in read_examples(builder, name, split, decoders):
        key = example["tfds_id"].decode()
        path, byte_range = shards.locate(key, example["image"])
        image_id = _image_id(example, key)
        try:
            size, turned = image_size(example["image"])
        except ValueError as error:
            problems.add("undecodable_image", path, f"image id {image_id!r}: {error}")
            continue
        # TFDS and those who annotated its sets see the pixels as stored.
        size = size[::-1] if turned else size
        offset = 1 if dataset_name == "voc" else 0
        where = f"{path}, image {image_id!r}"
        columns = _objects(example["objects"], where, size, len(names), offset, problems)
        if not keep_difficult:
            easy = [position for position, flag in enumerate(columns[3]) if not flag]
            columns = [[column[position] for position in easy] for column in columns]
        records.append(Record(path, image_id, *size, *columns, byte_range=byte_range))
    problems.refuse(f"{name}, split {split!r}", ("undecodable_image",), allowed=max_bad_images)
    categories = _categories(dataset_name, names)
    title = f"{name.replace('/', '_')}_{split}"
    return DetectionDataset(title, categories, records, problems)


def _class_names(name, features):
    try:
        if features["image"] and features["objects"]["bbox"]:
            return features["objects"]["label"].names
    except (AttributeError, KeyError, TypeError):
        pass
    raise DataError(
        f"{name} is no detection data set: it needs the features 'image' and 'objects' with "
        f"'bbox' and 'label'. Found: {sorted(features.keys())}"
    )


def _categories(dataset_name, names):
    if dataset_name == "coco" and set(names) <= set(COCO_ID_OF):
        return [Category(COCO_ID_OF[name], name) for name in names]
    return [Category(index + 1, name) for index, name in enumerate(names)]


def _image_id(example, key):
    if "image/id" in example:
        found = example["image/id"]
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else int(found)
    if "image/filename" in example:
        return os.path.splitext(example["image/filename"].decode("utf-8", "replace"))[0]
    return key


def _objects(objects, where, size, class_count, offset, problems):
    """Columns of a `Record` from TFDS' relative (ymin, xmin, ymax, xmax)."""
    height, width = size
    count = len(objects["label"])
    columns = [objects.get(key, [0] * count) for key in ("is_crowd", "is_difficult", "area")]
    rows = []
    for position, (relative, label, crowd, difficult, area) in enumerate(
        zip(objects["bbox"], objects["label"], *columns)
    ):
        place = f"{where}, object {position}"
        if not 0 <= label < class_count:
            problems.add("unknown_category", place, f"label {label}")
            continue
        ymin, xmin, ymax, xmax = relative.astype("float64").tolist()
        corners = (xmin * width - offset, ymin * height - offset, xmax * width, ymax * height)
        box, kind = check_box(corners, height, width)
        if kind is not None:
            problems.add(kind, place, f"relative bbox {relative.tolist()}")
        if box is not None:
            box_area = (box[2] - box[0]) * (box[3] - box[1])
            rows.append((box, label, crowd, difficult, area if area > 0 else box_area))
    return [list(column) for column in zip(*rows)] or [[], [], [], [], []]
