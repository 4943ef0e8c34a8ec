"""Reading data sets in the layout of Ultralytics YOLO: `data.yaml`, images, and label files."""

import collections
import concurrent.futures
import os

from detection.data.checks import check_image_count, read_size
from detection.data.dataset import Category, DetectionDataset, Record
from detection.data.image_folder import list_images
from detection.data.named_files import NamedFiles
from detection.data.problems import DataError, Problems
from detection.data.yolo_labels import read_labels
from detection.data.yolo_yaml import read_data_yaml
from keras_resnet.data.missing_paths import tried
from keras_resnet.data.printable import printable


def load_yolo(data_yaml, split="train", name=None, max_bad_images=0, follow_links=False):
    """Reads a split of a data set in the layout of Ultralytics YOLO.

    `data.yaml` names, for each split, a folder of images, a list of folders, or a text file with
    the path of an image in each line, all relative to its `path`, and that relative to the file
    itself. The labels of `images/train/a.jpg` are in `labels/train/a.txt`: lines of
    `class x y width height` in shares of the image's sides, or of the points of an outline, of
    which the bounding box is taken. An image without such a file is one without objects.

    Other than with Ultralytics, folders beside the current one are not searched, and what
    `download` holds is neither fetched nor run.

    Args:
        data_yaml: String or path of the YAML file, or of the folder that holds `data.yaml`.
        split: String, `"train"`, `"val"` or `"test"`.
        name: Optional string, the name of the data set. Defaults to the name of the folder and
            the split.
        max_bad_images: Integer, how many images that do not open, or whose labels cannot be read,
            to leave out before refusing.
        follow_links: Boolean, whether links inside the folders may lead out of them, and what the
            YAML file names may be outside of its own folder.

    Returns:
        A `DetectionDataset`. The ids of categories are the numbers in the label files, those of
        images their paths relative to `path`.

    Raises:
        FileNotFoundError: If the file or what it names does not exist.
        DataError: If the file does not describe a data set or leads out of its folder, no image
            has labels, or more images are unusable than allowed.

    Reference:
        - [Ultralytics: object detection datasets](https://docs.ultralytics.com/datasets/detect/)

    Example:

    ```python
    dataset = load_yolo("photos/data.yaml", "train")
    print(dataset.summary())
    ```
    """
    data = read_data_yaml(data_yaml)
    problems = Problems()
    if data.has_download:
        problems.add("not_run", data.file, "fetch the data yourself where they are missing")
    paths, places = [], data.places(split, follow_links)
    for place, root in places:
        paths += list_images(place, root, problems, follow_links)
    _refuse_repeated(data.file, split, paths)
    roots = {root for _, root in places}
    root = roots.pop() if len(roots) == 1 else os.path.dirname(data.file) or os.curdir
    records = _read(data, paths, root, problems, follow_links)
    if all(os.path.isdir(place) for place, _ in places):
        _note_other_labels(paths, problems)
    check_image_count(problems, max_bad_images, f"{data.file}, split {split!r},", root)
    name = name or f"{os.path.basename(os.path.abspath(root))}_{split}"
    categories = [Category(number, text) for number, text in data.names.items()]
    return DetectionDataset(name, categories, records, problems)


def _read(data, paths, root, problems, follow_links):
    class_of = {number: index for index, number in enumerate(data.names)}
    labels = _Labels(follow_links)
    records, found = [], 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        sizes = list(pool.map(read_size, paths))
    for path, size in zip(paths, sizes):
        image_id = os.path.relpath(path, root).replace(os.sep, "/")
        if size is None:
            problems.add("undecodable_image", path, f"image id {image_id!r}")
            continue
        label_path, kind = labels.find(path)
        if kind == "no_label_file":
            problems.add(kind, path, f"no {label_path}")
            records.append(Record(path, image_id, *size, [], []))
            continue
        found += 1
        if kind is not None:
            problems.add(kind, label_path, f"image id {image_id!r}")
            continue
        try:
            objects = read_labels(label_path, size, class_of, data.keypoint_values, problems)
        except (OSError, ValueError) as error:
            problems.add("malformed_annotation", label_path, f"image id {image_id!r}: {error}")
            continue
        records.append(Record(path, image_id, *size, *objects))
    if records and not found:
        places = tried(*_Labels.candidates(records[0].image_path))
        raise DataError(
            f"None of the {len(records)} images of {data.file} has a label file; one, which may be "
            f"empty, is needed.\n{places}"
        )
    return records


class _Labels:
    """Finds the label files of images."""

    def __init__(self, follow_links):
        self._follow_links = follow_links
        self._folders = {}

    @staticmethod
    def candidates(image_path):
        """Paths that the labels of an image may have: in `labels`, or beside it."""
        parts = os.path.splitext(os.path.abspath(image_path))[0].split(os.sep)
        paths = [os.sep.join(parts) + ".txt"]
        if "images" in parts[:-1]:
            last = len(parts) - 2 - parts[-2::-1].index("images")
            parts[last] = "labels"
            paths.insert(0, os.sep.join(parts) + ".txt")
        return paths

    def find(self, image_path):
        """The path of the labels of an image, and the kind of problem or `None`."""
        paths = self.candidates(image_path)
        for path in paths:
            if not os.path.lexists(path):
                continue
            # Links inside of the folder that holds both `images` and `labels` may not leave it.
            shared = os.path.commonpath([path, os.path.abspath(image_path)])
            if shared not in self._folders:
                self._folders[shared] = NamedFiles(shared, self._follow_links)
            kind = self._folders[shared].find(os.path.relpath(path, shared))[1]
            return path, "malformed_annotation" if kind == "missing_image" else kind
        return paths[0], "no_label_file"


def _note_other_labels(paths, problems):
    """Adds the label files in the folders of labels that belong to no image."""
    expected = {_Labels.candidates(path)[0] for path in paths}
    for folder in sorted({os.path.dirname(path) for path in expected}):
        if folder in {os.path.dirname(os.path.abspath(path)) for path in paths}:
            continue  # Beside images there are texts of all sorts.
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else ()
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".txt") and name != "classes.txt" and path not in expected:
                problems.add("unknown_image", path, "no image of this name")


def _refuse_repeated(file, split, paths):
    repeated = [path for path, count in collections.Counter(paths).items() if count > 1]
    if repeated:
        raise DataError(
            f"{file} names images more than once in the split {split!r}: "
            f"{printable(', '.join(repeated[:5]), 1000)}"
        )
