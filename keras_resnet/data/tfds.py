"""Reading labelled images that TensorFlow Datasets has prepared."""

import numpy as np

from keras_resnet.data.dataset import ImageDataset
from keras_resnet.data.errors import DataError
from keras_resnet.data.folder import check_verify
from keras_resnet.data.images import decode_image, image_size, read_bytes
from keras_resnet.data.problems import Problems
from keras_resnet.data.record_files import RecordFiles, open_builder, read_examples

_IN_MEMORY = 2**30  # Bytes that images of one size may take, to be decoded at once.


def load_tfds(
    name,
    split,
    data_dir=None,
    download=False,
    in_memory=None,
    max_bad_images=0,
    verify="header",
):
    """Reads a split of a TensorFlow Datasets builder with the features `image` and `label`.

    The labels are read once; images stay in the TFRecord files and are read from there by
    position and decoded by Pillow, so that a data set larger than the memory works, also in the
    loader that does not use TensorFlow. Small images of one size, such as CIFAR's, are decoded at
    once and kept.

    Args:
        name: str, e.g. `"cifar10"`, `"imagenet2012"`, `"imagenette/320px-v2"`.
        split: str, e.g. `"train"` or `"train[:10%]"`.
        data_dir: the folder of TFDS, or None for its default.
        download: bool, whether to download and prepare what is not there. ImageNet has to be
            downloaded by hand, as TFDS explains.
        in_memory: bool, whether to decode all images now; they must have one size. By default
            where the data set declares one size and that takes at most 1 GiB.
        max_bad_images: int, how many images to leave out before refusing: those whose header
            cannot be read, and where all are decoded now, those that do not decode.
        verify: `"header"` reads the header of each image, `"decode"` decodes it, and None trusts
            what was prepared; images that are kept in memory are decoded in any case.

    Returns:
        An `ImageDataset` in the order of the files.

    Raises:
        DataError: the data set is not there, has no such split, has no images with one label
            each, or is not stored in TFRecord files.

    Example:
    ```python
    data = load_tfds("cifar10", "train", download=True)
    ```
    """
    check_verify(verify)
    import tensorflow_datasets as tfds

    builder = open_builder(name, data_dir, download)
    features = builder.info.features
    class_names = _class_names(tfds, name, features)
    decoders = tfds.decode.PartialDecoding(
        {"image": True, "label": True}, decoders={"image": tfds.decode.SkipDecoding()}
    )
    files = RecordFiles(builder.data_dir)
    labels, paths, path_of, ranges, keys, problems = [], [], {}, [], [], Problems()
    for example in read_examples(builder, name, split, decoders):
        key = example["tfds_id"].decode()
        path, (offset, length) = files.locate(key, example["image"])
        try:
            if verify == "decode":
                decode_image(example["image"], key)
            elif verify == "header":
                image_size(example["image"])
        except ValueError as error:  # a DataError is a ValueError
            problems.add("undecodable_image", f"{path}, image {key}", error)
            continue
        if path not in path_of:
            path_of[path] = len(paths)
            paths.append(path)
        labels.append(int(example["label"]))
        ranges.append((path_of[path], offset, length))
        keys.append(key)
    if not labels:
        problems.refuse(f"{name}, split {split!r}", ("undecodable_image",))
        raise DataError(f"The split {split!r} of {name} has no images.")
    # Millions of small tuples would take gigabytes.
    ranges = np.array(ranges, "int64")

    def where(index):
        return f"{paths[ranges[index, 0]]}, image {keys[index]}"

    def read(index):
        file, offset, length = ranges[index].tolist()
        return decode_image(read_bytes(paths[file], (offset, length)), where(index))

    shape = features["image"].shape
    if in_memory is None:
        in_memory = None not in shape and 3 * shape[0] * shape[1] * len(labels) <= _IN_MEMORY
    good, images = range(len(labels)), None
    if in_memory:
        good, images = _decode_all(read, where, len(labels), problems)
    problems.refuse(f"{name}, split {split!r}", ("undecodable_image",), allowed=max_bad_images)
    if not len(good):
        raise DataError(f"No image of the split {split!r} of {name} decodes.")
    source = {"images": np.stack(images)} if in_memory else {"read": read}
    return ImageDataset(
        f"{name} {split}",
        class_names,
        [labels[index] for index in good],
        where=lambda index: where(good[index]),
        problems=problems,
        **source,
    )


def _decode_all(read, where, count, problems):
    """Positions and pixels of the images that decode."""
    good, images = [], []
    for index in range(count):
        try:
            images.append(read(index))
            good.append(index)
        except DataError as error:
            problems.add("undecodable_image", where(index), error)
    return good, images


def _class_names(tfds, name, features):
    image, label = (
        features[key] if key in getattr(features, "keys", dict)() else None
        for key in ("image", "label")
    )
    if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
        return label.names
    found = ", ".join(f"{key} ({type(value).__name__})" for key, value in sorted(features.items()))
    raise DataError(
        f"{name} cannot be used for classification: it needs the features 'image' (Image) and "
        f"'label' (ClassLabel). Found: {found}"
    )
