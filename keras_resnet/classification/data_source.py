"""Labelled images from what a user writes on the command line."""

from pathlib import Path

from keras_resnet.classification.config import ImagesConfig
from keras_resnet.classification.feeds import open_images


def images_config(data, split=None, data_dir=None):
    """The configuration of a data set given as one word.

    Args:
        data: str: path of a `.npz` file; `"cifar10:PATH"` or `"cifar100:PATH"`, the folder or
            archive of the published files; `"tfds:NAME"`; or the path of a folder with a folder
            of images for each class, or with such folders for each split.
        split: str, or None: `"test"`; of ImageNet in TFDS `"validation"`; of a folder `"val"`,
            `"validation"` or `"test"` in it, else the folder itself.
        data_dir: str, where TFDS keeps its data sets; None for its own default.

    Returns:
        An `ImagesConfig` whose `val` is the split.

    Raises:
        ValueError: nothing there, or `data_dir` for data that are not of TFDS.

    Example:
    >>> images_config("tfds:imagenet2012").val
    'validation'
    """
    kind, colon, rest = str(data).partition(":")
    if data_dir is not None and kind != "tfds":
        raise ValueError(f"`data_dir` is for tfds:NAME. Received: data={data!r}")
    if kind == "tfds" and colon:
        usual = "validation" if rest.startswith("imagenet") else "test"
        return ImagesConfig(format="tfds", name=rest, root=data_dir, val=split or usual)
    if kind in ("cifar10", "cifar100") and colon:
        return ImagesConfig(format=kind, root=rest, val=split or "test")
    path = Path(data)
    if path.suffix == ".npz":
        return ImagesConfig(format="npz", root=str(path), val=split or "test")
    if not path.is_dir():
        raise ValueError(
            f"There is no data set {str(data)!r}. Place a folder with a folder of images for each "
            "class there, or give a .npz file with x_test and y_test, cifar10:PATH, cifar100:PATH "
            "or tfds:NAME."
        )
    if split is None:
        usual = ("val", "validation", "test")
        split = next((name for name in usual if (path / name).is_dir()), ".")
    return ImagesConfig(format="folder", root=str(path), val=split)


def open_data(data, split=None, data_dir=None):
    """Opens a data set given as one word; arguments as for `images_config`.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: the data are not there or cannot be used.

    Example:
    ```python
    dataset = open_data("tfds:imagenet2012")
    ```
    """
    return open_images(images_config(data, split, data_dir), "val")
