"""Images in one folder for each class."""

import concurrent.futures
import os
from pathlib import Path

import numpy as np
from PIL import Image

from keras_resnet.data.dataset import ImageDataset
from keras_resnet.data.errors import DataError
from keras_resnet.data.images import decode_image, image_size, read_bytes, reason
from keras_resnet.data.missing_paths import first_names, tried
from keras_resnet.data.problems import Problems

_NAMED = 10  # Places listed in a message.


def load_folder(
    root,
    split=None,
    class_names=None,
    verify="header",
    max_bad_images=0,
    allow_empty=False,
    follow_links=False,
):
    """Reads a folder that has a folder of images for each class.

    Images may lie in deeper folders of their class. Hidden files and folders, and files whose
    name ends as no image's (`.txt`), are ignored. Images are decoded when they are needed, by
    Pillow: every format and mode, turned as the EXIF orientation says.

    Args:
        root: path of the folder.
        split: name of the folder in `root` that holds the classes, such as `"train"`, or None
            where `root` holds them.
        class_names: sequence of str, the folders in the order of the labels; others are ignored.
            By default all folders, sorted. Give those of the training data for other splits.
        verify: `"header"` opens each image and reads its size, `"decode"` decodes it, and None
            trusts the names; what does not decode is then found in training.
        max_bad_images: int, how many images to leave out before refusing: unreadable ones, and
            links that lead out of the folder.
        allow_empty: bool, whether a class may have no images.
        follow_links: bool, whether links may lead out of the folder. The folder itself, and that
            of the split, may be links.

    Returns:
        An `ImageDataset`, its images sorted by class and path. The ones left out are in its
        `problems`.

    Raises:
        DataError: no such folder, no classes, classes without images, unreadable images; the
            message names them.

    Example:
    >>> import pathlib
    >>> from PIL import Image
    >>> for name in ("cat", "dog"):
    ...     pathlib.Path("pets", name).mkdir(parents=True)
    ...     Image.new("RGB", (8, 6)).save(f"pets/{name}/1.png")
    >>> data = load_folder("pets")
    >>> data.class_names, data.labels.tolist(), data.read(0).shape
    (('cat', 'dog'), [0, 1], (6, 8, 3))
    """
    check_verify(verify)
    folder = Path(root) / split if split else Path(root)
    present = _folders(folder)
    names = present if class_names is None else list(class_names)
    missing = [name for name in names if name not in present]
    if missing and not allow_empty:
        raise DataError(f"{folder} has no folder for {_list(missing)}.")
    _refuse_splits(folder, present, class_names)
    endings = set(Image.registered_extensions())
    problems, inside = Problems(), None if follow_links else _Inside(root, folder)
    paths = [
        _images(folder / name, endings, inside, problems) if name in present else []
        for name in names
    ]
    if len(problems):
        _refuse(problems, folder, max_bad_images)
    empty = [f"{folder / name}" for name, found in zip(names, paths) if not found]
    if empty and not allow_empty:
        raise DataError(f"There are no images in {_list(empty)}.")
    labels = np.repeat(np.arange(len(names)), [len(found) for found in paths])
    paths = [path for found in paths for path in found]
    bad = _unreadable(paths, verify) if verify else {}
    for i, why in bad.items():
        problems.add("undecodable_image", paths[i], why)
    _refuse(problems, folder, max_bad_images)
    good = [i for i in range(len(paths)) if i not in bad]
    labels, paths = labels[good], [paths[i] for i in good]
    emptied = sorted({names[label] for label in set(range(len(names))) - set(labels.tolist())})
    if emptied and not allow_empty:
        raise DataError(f"{folder}: all images of {_list(emptied)} are unreadable.")

    def read(index):
        return decode_image(read_bytes(paths[index]), paths[index])

    return ImageDataset(
        str(folder), names, labels, read=read, where=paths.__getitem__, problems=problems
    )


def check_verify(verify):
    """Refuses values that `verify` of the readers has not."""
    if verify not in ("header", "decode", None):
        raise ValueError(
            f"`verify` must be 'header', 'decode' or None. Received: verify={verify!r}"
        )


def _folders(folder):
    """Sorted names of the folders in a folder."""
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {str(folder)!r}. Images lie in a folder for each class: "
            f"{folder / '<class>' / 'any name.jpg'}\n{tried(folder)}"
        )
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    if not names:
        raise DataError(
            f"{folder} has no folders; it must have one for each class: "
            f"{folder / '<class>' / 'any name.jpg'}\n  In {folder}: {first_names(folder)}"
        )
    return names


def _refuse_splits(folder, present, class_names):
    if class_names is None and "train" in present and {"val", "valid", "test"} & set(present):
        raise DataError(
            f"{folder} holds {_list(present)}: pass `split='train'` to read one of them, or "
            "`class_names` if these are the classes."
        )


def _refuse(problems, folder, allowed):
    advice = "`max_bad_images` allows leaving some out"
    if problems.of_kind("outside_folder"):
        advice += ", `follow_links` that links lead out of the folder"
    kinds = ("undecodable_image", "outside_folder")
    problems.refuse(f"{folder} has unusable images ({advice})", kinds, allowed=allowed)


class _Inside:
    """Tells whether a link leads to somewhere inside one of some folders."""

    def __init__(self, *folders):
        self._folders = [os.path.join(os.path.realpath(folder), "") for folder in folders]

    def __contains__(self, path):
        place = os.path.join(os.path.realpath(path), "")
        return any(place.startswith(folder) for folder in self._folders)


def _images(folder, endings, inside, problems):
    """Sorted paths of the images in a folder, then in the folders in it.

    Args:
        folder: path.
        endings: set of str, how names of images end.
        inside: an `_Inside` that links must not lead out of, or None.
        problems: a `Problems`, to which links that do are added.
    """
    found, seen, waiting = [], set(), [os.fspath(folder)]
    if inside is not None and os.path.islink(folder) and folder not in inside:
        problems.add("outside_folder", folder)
        return found
    while waiting:
        parent = waiting.pop()
        # Links can go in circles.
        place = os.path.realpath(parent)
        if place in seen:
            continue
        seen.add(place)
        with os.scandir(parent) as entries:
            entries = sorted(
                (e for e in entries if not e.name.startswith(".")), key=lambda e: e.name
            )
        folders = []
        for entry in entries:
            is_folder = entry.is_dir()
            ending = os.path.splitext(entry.name)[1].lower()
            # Some data sets name images without an ending.
            if not is_folder and ending and ending not in endings:
                continue
            if inside is not None and entry.is_symlink() and entry.path not in inside:
                problems.add("outside_folder", entry.path)
            elif is_folder:
                folders.append(entry.path)
            else:
                found.append(entry.path)
        waiting += reversed(folders)
    return found


def _unreadable(paths, verify):
    """Dict from position to what is wrong with an image."""

    def check(path):
        try:
            if verify == "decode" or not os.path.isfile(path):
                decode_image(read_bytes(path), path)
            else:
                with open(path, "rb") as file:
                    image_size(file)
        except (OSError, ValueError) as error:  # a DataError is a ValueError
            return reason(error)
        return None

    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = enumerate(pool.map(check, paths, chunksize=64))
        return {position: why for position, why in found if why is not None}


def _list(names):
    shown = ", ".join(map(str, names[:_NAMED]))
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
