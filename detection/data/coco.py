"""Reading annotations in COCO's JSON format."""

import contextlib
import gc
import json
import os

from detection.data.checks import check_box, check_image_count, is_size, is_whole, read_size
from detection.data.coco_columns import MAX_AREA, split_sound
from detection.data.dataset import Category, DetectionDataset, Record
from detection.data.foreign_names import find_files
from detection.data.named_files import NamedFiles
from detection.data.problems import DataError, Problems
from keras_resnet.data.missing_paths import tried
from keras_resnet.data.printable import printable


def load_coco(images_dir, annotations_file, name=None, max_bad_images=0, follow_links=False):
    """Reads a data set in COCO's format.

    Categories are sorted by their id and numbered from 0; the original ids stay in
    `dataset.categories`. Crowd boxes are kept and marked, and so are those with `difficult: 1`,
    which is no part of the format but written by `DetectionDataset.to_coco`. Images without
    annotations are kept. Boxes that cannot be used are skipped or clipped and counted in
    `dataset.problems`.

    The exports of Label Studio and CVAT are read as they are. An image that is not in the folder
    under its `file_name`, which may be a path on the server or on Windows, is looked for by the
    rest of the path; what is found so is counted.

    Args:
        images_dir: String or path, the folder that the file names are relative to.
        annotations_file: String or path of the JSON file.
        name: Optional string, the name of the data set. Defaults to the name of the JSON file.
        max_bad_images: Integer, how many images that are missing, or named outside the folder,
            to leave out before refusing.
        follow_links: Boolean, whether links inside the folder may lead out of it.

    Returns:
        A `DetectionDataset`.

    Raises:
        FileNotFoundError: If the annotation file or the folder does not exist.
        DataError: If the file is not COCO JSON or more images are missing than allowed.

    Reference:
        - [COCO data format](https://cocodataset.org/#format-data)

    Example:

    ```python
    dataset = load_coco("coco/val2017", "coco/annotations/instances_val2017.json")
    print(dataset.summary())
    ```
    """
    with _collector_paused():
        images_dir, annotations_file = os.fspath(images_dir), os.fspath(annotations_file)
        return _load(images_dir, annotations_file, name, max_bad_images, follow_links)


@contextlib.contextmanager
def _collector_paused():
    """Within it, no search for garbage: among millions of new objects it doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load(images_dir, annotations_file, name, max_bad_images, follow_links):
    if not os.path.isdir(images_dir):
        raise FileNotFoundError(
            f"`images_dir` must be an existing folder. Received: images_dir={images_dir}\n"
            f"{tried(images_dir)}"
        )
    content = _read_json(annotations_file)
    categories = _categories(content["categories"], annotations_file)
    class_of = {category.id: index for index, category in enumerate(categories)}
    images = _images(content["images"], annotations_file)
    problems = Problems()
    sound, others = split_sound(content.pop("annotations"), images, class_of)
    annotations_of = _group(others, images, problems, annotations_file)
    records, files = [], NamedFiles(images_dir, follow_links)
    names = [image["file_name"] for image in images.values()]
    found = find_files(files, names, _subfolders(annotations_file))
    for (image_id, image), file in zip(images.items(), found):
        path = file.path
        if file.kind is not None:
            problems.add(file.kind, path, f"image id {image_id!r}{file.also()}")
            continue
        if file.elsewhere:
            problems.add("found_elsewhere", path, f"annotated as {image['file_name']!r}")
        size = _size(image, path, image_id, problems)
        if size is None:
            continue
        if image_id in sound:
            records.append(Record(path, image_id, *size, *sound[image_id]))
        else:
            entries = annotations_of.get(image_id, ())
            records.append(_record(path, image_id, size, entries, class_of, problems))
    check_image_count(problems, max_bad_images, annotations_file, images_dir)
    name = name or os.path.splitext(os.path.basename(annotations_file))[0]
    return DetectionDataset(name, categories, records, problems)


def _subfolders(annotations_file):
    """CVAT puts the images of `instances_default.json` into `images/default`, or into `images`."""
    subset = os.path.splitext(os.path.basename(annotations_file))[0].partition("_")[2]
    return (subset,) if subset else ()


def _read_json(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(
            "`annotations_file` must be an existing JSON file. "
            f"Received: annotations_file={path}\n{tried(path)}"
        )
    try:
        # Some editors put a byte order mark in front.
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:  # ValueError: also integers of endless length
        raise DataError(f"{path} is not valid JSON: {error}.") from error
    wanted = ("images", "annotations", "categories")
    lists = isinstance(content, dict) and all(isinstance(content.get(k), list) for k in wanted)
    if not lists:
        found = sorted(content)[:20] if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{path} is not in COCO's format: it needs the lists 'images', 'annotations' and "
            f"'categories'. Found: {printable(found)}"
        )
    return content


def _categories(entries, path):
    faults, categories, names = [], {}, set()
    for position, entry in enumerate(entries):
        valid = isinstance(entry, dict) and is_whole(entry.get("id"))
        if not valid or not isinstance(entry.get("name"), str):
            faults.append(f"categories[{position}] needs an integer 'id' and a 'name': {entry}")
        elif entry["id"] in categories:
            faults.append(f"categories[{position}] repeats the id {entry['id']}")
        elif entry["name"] in names:
            faults.append(f"categories[{position}] repeats the name {entry['name']!r}")
        else:
            categories[entry["id"]] = Category(entry["id"], entry["name"])
            names.add(entry["name"])
    if not entries:
        faults.append("the list of categories is empty")
    _refuse(path, faults)
    return [categories[category_id] for category_id in sorted(categories)]


def _images(entries, path):
    faults, images = [], {}
    for position, entry in enumerate(entries):
        valid = isinstance(entry, dict) and _key(entry, "id") is not None
        if not valid or not isinstance(entry.get("file_name"), str):
            faults.append(f"images[{position}] needs an 'id' and a 'file_name': {entry}")
        elif entry["id"] in images:
            faults.append(f"images[{position}] repeats the id {entry['id']!r}")
        else:
            images[entry["id"]] = entry
    _refuse(path, faults)
    return images


def _group(entries, images, problems, path):
    """Annotations `(position, entry)` by image id; those of unknown images are counted."""
    groups = {}
    for position, entry in entries:
        if not isinstance(entry, dict):
            problems.add("malformed_box", f"{path}, annotations[{position}]", entry)
        elif _key(entry, "image_id") not in images:
            detail = f"image id {entry.get('image_id')!r}"
            problems.add("unknown_image", _where(path, entry, position), detail)
        else:
            groups.setdefault(entry["image_id"], []).append((position, entry))
    return groups


def _size(image, path, image_id, problems):
    height, width = image.get("height"), image.get("width")
    if is_size(height, width):
        return height, width
    problems.add("unknown_size", path, f"image id {image_id!r}")
    size = read_size(path)
    if size is None:
        problems.add("undecodable_image", path, f"image id {image_id!r}")
    return size


def _record(path, image_id, size, entries, class_of, problems):
    boxes, classes, crowds, flags, areas = [], [], [], [], []
    for position, entry in entries:
        where = _where(f"{path}, image {image_id!r}", entry, position)
        if _key(entry, "category_id") not in class_of:
            problems.add("unknown_category", where, f"category id {entry.get('category_id')!r}")
            continue
        numbers = _numbers(entry.get("bbox"))
        if numbers is None:
            problems.add("malformed_box", where, f"bbox {entry.get('bbox')!r}")
            continue
        x, y, width, height = numbers
        box, kind = check_box((x, y, x + width, y + height), *size)
        if kind is not None:
            problems.add(kind, where, f"bbox {entry['bbox']}, image {size[1]} x {size[0]}")
        if box is None:
            continue
        boxes.append(box)
        classes.append(class_of[entry["category_id"]])
        crowd = entry.get("iscrowd", 0)
        if crowd not in (0, 1, None):
            problems.add("malformed_crowd", where, f"iscrowd {crowd!r}")
        crowds.append(crowd == 1)
        flag = entry.get("difficult")
        flags.append(type(flag) is int and flag == 1)
        areas.append(_area(entry.get("area")) or (box[2] - box[0]) * (box[3] - box[1]))
    return Record(path, image_id, *size, boxes, classes, crowds, flags, areas)


def _numbers(bbox):
    """Four floats, or `None`; numbers written as text count."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    try:
        return [float(value) for value in bbox]
    except (TypeError, ValueError, OverflowError):
        return None


def _area(area):
    """An annotated area as a float, or `None` where it is no number between 0 and `MAX_AREA`."""
    return float(area) if type(area) in (int, float) and 0 < area < MAX_AREA else None


def _key(entry, name):
    value = entry.get(name)
    return value if is_whole(value) or isinstance(value, str) else None


def _where(place, entry, position):
    return f"{place}, annotation {entry.get('id', f'at position {position}')}"


def _refuse(path, faults):
    if faults:
        lines = [f"{path} is not in COCO's format: {len(faults)} faults."]
        lines += [f"  - {printable(fault)}" for fault in faults[:10]]
        raise DataError("\n".join(lines))
