"""The `data.yaml` of YOLO data sets."""

import dataclasses
import os

from detection.data.problems import DataError
from keras_resnet.data.missing_paths import tried
from keras_resnet.data.printable import printable
from keras_resnet.training.config_error import ConfigError
from keras_resnet.training.config_yaml import MAX_CHARACTERS, parse

_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_SPLITS = {"val": ("val", "valid", "validation")}  # Other words for a split.


@dataclasses.dataclass(frozen=True)
class DataYaml:
    """What `data.yaml` says.

    Args:
        file: String, the path of the file.
        root: String, the folder that its paths are relative to.
        splits: Dict from the name of a split to a list of strings.
        names: Dict from the numbers of classes to their names, in ascending order.
        keypoint_values: Integer, how many numbers follow the box in each label, or `None`.
        has_download: Boolean, whether it says where to download the data.
    """

    file: str
    root: str
    splits: dict
    names: dict
    keypoint_values: int | None
    has_download: bool

    def places(self, split, follow_links=False):
        """Where the images of a split are.

        Args:
            split: String, such as `"train"`.
            follow_links: Boolean, whether that may be outside of the folder of the file, which
                may be anybody's.

        Returns:
            A list of pairs `(place, root)`: a folder or text file that exists, and the folder that
            the lines of the text file are relative to.

        Raises:
            DataError: If the file does not name the split, or what it names is outside.
            FileNotFoundError: If what it names does not exist.
        """
        known = next((key for key in _SPLITS.get(split, (split,)) if key in self.splits), None)
        if known is None:
            named = ", ".join(self.splits) or "none"
            raise DataError(
                f"{self.file} does not name the images of {split!r}; splits there: {named}. Where "
                "there is one set only, `data.val_share=0.2` sets a fifth of it apart. "
                f"Received: split={split!r}"
            )
        return [self._find(entry, known, follow_links) for entry in self.splits[known]]

    def _find(self, entry, split, follow_links):
        beside = os.path.dirname(self.file) or os.curdir
        plain = entry.replace("\\", "/")
        candidates = []
        # A `path` of another machine.
        roots = (self.root,) if os.path.isdir(self.root) else (self.root, beside)
        for root in roots:
            candidates.append((os.path.join(root, plain), root))
            # Roboflow writes `../train/images` for `train/images` beside the file.
            if plain.startswith("../"):
                candidates.append((os.path.join(root, plain.removeprefix("../")), root))
        there = [pair for pair in candidates if _is_place(pair[0])]
        for place, root in there:
            if follow_links or (_is_inside(place, beside) and _is_inside(root, beside)):
                return place, root
        if there:
            raise DataError(
                f"{self.file} names {printable(entry)!r} for {split!r}, which is outside of its "
                f"own folder: {there[0][0]}. If that is meant, `follow_links` allows it "
                "(data.follow_links=true)."
            )
        paths = tried(*(place for place, _ in candidates))
        raise FileNotFoundError(
            f"{self.file} names {printable(entry)!r} for {split!r}, which is neither a folder nor "
            f"a .txt file; correct `path` or `{split}` in it.\n{paths}"
        )


def _is_place(path):
    return os.path.isdir(path) or (os.path.isfile(path) and path.endswith(".txt"))


def _is_inside(path, folder):
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(os.path.join(folder, ""))


def read_data_yaml(path):
    """Reads and checks a `data.yaml`.

    Args:
        path: String or path of the file, or of its folder.

    Returns:
        A `DataYaml`.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it does not describe a data set.
    """
    path = os.fspath(path)
    file = _find_file(path)
    content = _parse(file)
    folder = content.get("path")
    if folder is not None and not isinstance(folder, str):
        raise DataError(f"{file}: `path` must be the name of a folder. Received: {folder!r}")
    root = os.path.join(os.path.dirname(file), (folder or "").replace("\\", "/"))
    return DataYaml(
        file=file,
        root=os.path.normpath(root),
        splits=_splits(content, file),
        names=_names(content, file),
        keypoint_values=_keypoint_values(content, file),
        has_download=content.get("download") is not None,
    )


def _find_file(path):
    candidates = [path]
    if os.path.isdir(path):
        candidates = [os.path.join(path, name) for name in _NAMES]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise FileNotFoundError(
        "A YOLO data set is given by its `data.yaml`, or the folder that holds it. "
        f"Received: {path}\n{tried(*candidates)}"
    )


def _parse(file):
    try:
        with open(file, encoding="utf-8-sig") as stream:
            content = parse(stream.read(MAX_CHARACTERS + 1), file)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no UTF-8 text: {error}.") from error
    except ConfigError as error:
        raise DataError(str(error)) from error
    if not isinstance(content, dict):
        raise DataError(
            f"{file} must hold `train`, `val` and `names`. Found: {type(content).__name__}"
        )
    return content


def _splits(content, file):
    splits = {}
    for split in ("train", "val", "valid", "validation", "test"):
        entry = content.get(split)
        if entry is None or entry == []:
            continue
        entries = entry if isinstance(entry, list) else [entry]
        if not all(isinstance(text, str) and text for text in entries):
            raise DataError(
                f"{file}: `{split}` must be a folder, a list of folders or a .txt file. "
                f"Received: {printable(entry)}"
            )
        splits[split] = entries
    return splits


def _names(content, file):
    names, count = content.get("names"), content.get("nc")
    if names is None and _is_number(count) and 0 < count < 100_000:
        names = [f"class_{number}" for number in range(count)]
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DataError(
            f"{file}: `names` must list the classes, as in `names: [cat, dog]`, or name their "
            f"numbers, as in `names: {{0: cat, 1: dog}}`. Received: {printable(names)}"
        )
    faults = [
        f"{number!r}: {name!r}"
        for number, name in names.items()
        if not _is_number(number) or number < 0 or not _is_name(name)
    ]
    if faults:
        raise DataError(
            f"{file}: each of `names` needs a number from 0 and a printable text; quote words "
            f"that YAML takes for something else. Received: {printable(', '.join(faults[:5]))}"
        )
    names = {number: str(names[number]) for number in sorted(names)}
    if len(set(names.values())) < len(names):
        raise DataError(f"{file}: `names` repeats a class. Received: {printable(names)}")
    if count is not None and count != len(names):
        raise DataError(f"{file}: `nc` is {printable(count)}, but there are {len(names)} `names`.")
    return names


def _keypoint_values(content, file):
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    if isinstance(shape, list) and len(shape) == 2 and all(map(_is_number, shape)):
        points, values = shape
        if points > 0 and values in (2, 3):
            return points * values
    raise DataError(
        f"{file}: `kpt_shape` must be the number of points and of values for each (2 or 3). "
        f"Received: {printable(shape)}"
    )


def _is_name(value):
    return _is_number(value) or (
        isinstance(value, str) and value.isprintable() and bool(value.strip())
    )


def _is_number(value):
    return type(value) is int
