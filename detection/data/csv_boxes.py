"""Reading data sets from CSV files with a row for each box."""

import concurrent.futures
import os

from detection.data.checks import check_box, check_image_count, read_size
from detection.data.csv_rows import read_classes, read_rows
from detection.data.dataset import Category, DetectionDataset, Record
from detection.data.foreign_names import find_files
from detection.data.named_files import NamedFiles
from detection.data.problems import DataError, Problems
from keras_resnet.data.missing_paths import tried
from keras_resnet.data.printable import printable


def load_csv(
    annotations_file,
    images_dir=None,
    classes=None,
    name=None,
    max_bad_images=0,
    follow_links=False,
):
    """Reads a data set from a CSV file.

    Each row is one box, `path,x1,y1,x2,y2,class`, in pixels; `photos/1.jpg,,,,,` is an image
    without objects. With a header the columns may be in any order and there may be others;
    `filename,width,height,class,xmin,ymin,xmax,ymax`, for instance, is understood. Instead of
    commas there may be semicolons or tabs.

    Args:
        annotations_file: String or path of the CSV file.
        images_dir: Optional string or path, the folder that the paths are relative to. Defaults
            to that of the CSV file.
        classes: Optional sequence of names in the wanted order, or string or path of a text file
            with a name, or `name,number`, in each line. By default the names in the file, sorted;
            pass them where several files have to agree.
        name: Optional string, the name of the data set. Defaults to that of the CSV file.
        max_bad_images: Integer, how many images that are missing, named outside of the folder or
            no images to leave out before refusing.
        follow_links: Boolean, whether links inside the folder may lead out of it.

    Returns:
        A `DetectionDataset`. Image ids are the paths in the file, and the ids of categories count
        from 1 unless the list of classes numbers them.

    Raises:
        FileNotFoundError: If a file or the folder does not exist.
        DataError: If the file is no such CSV or more images are unusable than allowed.

    Example:

    ```python
    dataset = load_csv("photos/train.csv", classes=("cat", "dog"))
    print(dataset.summary())
    ```
    """
    file = os.fspath(annotations_file)
    rows, malformed = read_rows(file)
    folder = os.path.dirname(os.path.abspath(file)) if images_dir is None else images_dir
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"`images_dir` must be an existing folder. Received: images_dir={folder}\n"
            f"{tried(folder)}"
        )
    categories = _categories(classes, rows, file)
    problems = Problems()
    for line, cells in malformed:
        detail = printable(",".join(cells), 100)
        problems.add("malformed_box", f"{file}, line {line}", f"{len(cells)} columns: {detail}")
    records = _read(rows, file, NamedFiles(folder, follow_links), folder, categories, problems)
    check_image_count(problems, max_bad_images, file, folder)
    name = name or os.path.splitext(os.path.basename(file))[0]
    return DetectionDataset(name, categories, records, problems)


def csv_class_names(annotations_files):
    """The names of the classes in CSV files, sorted.

    Args:
        annotations_files: Sequence of strings.
    """
    rows = (row for file in annotations_files for row in read_rows(os.fspath(file))[0])
    return tuple(sorted({row.class_name for row in rows if row.class_name}))


def _categories(classes, rows, file):
    if isinstance(classes, str | os.PathLike):
        return read_classes(classes)
    if classes is None:
        classes = sorted({row.class_name for row in rows if row.class_name})
        if not classes:
            raise DataError(f"{file} has no box with a class; pass `classes` if that is right.")
    return [Category(number, text) for number, text in enumerate(classes, start=1)]


def _read(rows, file, files, folder, categories, problems):
    groups = {}
    for row in rows:
        groups.setdefault(os.path.normpath(row.path), []).append(row)
    names = [group[0].path for group in groups.values()]
    found = find_files(files, names)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        sizes = list(pool.map(lambda f: read_size(f.path) if f.kind is None else None, found))
    class_of = {category.name: index for index, category in enumerate(categories)}
    records = []
    for name, image, size, group in zip(names, found, sizes, groups.values()):
        where = f"{file}, line {group[0].line}"
        if not image.usable(name, folder, where, problems):
            continue
        if size is None:
            problems.add("undecodable_image", image.path, f"image id {name!r}")
            continue
        objects = _objects(group, file, size, class_of, problems)
        records.append(Record(image.path, name, *size, *objects))
    return records


def _objects(rows, file, size, class_of, problems):
    boxes, classes = [], []
    for row in rows:
        if row.is_empty:
            continue
        where = f"{file}, line {row.line}"
        corners = row.box()
        if corners is None:
            problems.add("malformed_box", where, f"box {','.join(row.corners)}")
            continue
        if row.class_name not in class_of:
            problems.add("unknown_category", where, f"name {row.class_name!r}")
            continue
        box, kind = check_box(corners, *size)
        if kind is not None:
            detail = f"{row.class_name} {','.join(row.corners)}, image {size[1]} x {size[0]}"
            problems.add(kind, where, detail)
        if box is not None:
            boxes.append(box)
            classes.append(class_of[row.class_name])
    return boxes, classes
