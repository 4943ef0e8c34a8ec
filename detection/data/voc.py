"""Reading annotations in Pascal VOC's layout: one XML file for each image."""

import collections
import glob
import os

import defusedxml.ElementTree as ElementTree
from defusedxml import DefusedXmlException

from detection.data.checks import check_box, check_image_count, is_size, read_size
from detection.data.dataset import Category, DetectionDataset, Record
from detection.data.named_files import NamedFiles
from detection.data.problems import DataError, Problems
from keras_resnet.data.missing_paths import tried
from keras_resnet.data.printable import printable

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

_MAX_XML = 2**26  # Bytes; a file describes one image.
_EXTENSIONS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", ".bmp", ".webp")


def load_voc(
    root,
    split,
    classes=None,
    keep_difficult=True,
    name=None,
    max_bad_images=0,
    follow_links=False,
):
    """Reads a data set in the layout of Pascal VOC.

    `root` holds `Annotations/*.xml`, `JPEGImages/` and `ImageSets/Main/<split>.txt`. The corners
    in the XML count pixels from 1 and include the last one: 1 is subtracted from `xmin` and
    `ymin` only. Image ids are the names in the split file.

    Args:
        root: String or path of the folder, e.g. `"VOCdevkit/VOC2007"`.
        split: String, the name of a split file without its extension, e.g. `"trainval"`.
        classes: Optional sequence of class names in the wanted order; objects of other classes
            are counted in `dataset.problems`. By default the names found in all files of
            `Annotations` (not only in the split, so that every split gets the same classes): the
            20 of Pascal VOC in their own order if there are no others, else sorted by name.
        keep_difficult: Boolean, whether to keep objects marked as difficult. They are flagged in
            either case for evaluation: with False they are left out altogether.
        name: Optional string, the name of the data set.
        max_bad_images: Integer, how many images whose file or annotation is missing or malformed
            to leave out before refusing.
        follow_links: Boolean, whether links inside the folders may lead out of them.

    Returns:
        A `DetectionDataset`. Category ids count from 1.

    Raises:
        FileNotFoundError: If a folder or the split file does not exist.
        DataError: If the split is empty or more images are unusable than allowed.

    Reference:
        - [The PASCAL Visual Object Classes Challenge](http://host.robots.ox.ac.uk/pascal/VOC/)

    Example:

    ```python
    dataset = load_voc("VOCdevkit/VOC2007", "trainval")
    dataset.class_names[:3]      # ("aeroplane", "bicycle", "bird")
    ```
    """
    root = os.fspath(root)
    names = _read_split(root, split)
    problems, records = Problems(), []
    images, annotations = (
        NamedFiles(os.path.join(root, folder), follow_links)
        for folder in ("JPEGImages", "Annotations")
    )
    if classes is None:
        classes = _find_classes(root, annotations)
    class_of = {class_name: index for index, class_name in enumerate(classes)}
    for image_name in names:
        path, kind = _find_image(images, image_name)
        if kind is not None:
            problems.add(kind, path, f"image id {image_name!r}")
            continue
        xml_path, kind = annotations.find(f"{image_name}.xml")
        if kind is not None:
            kind = "missing_annotation" if kind == "missing_image" else kind
            problems.add(kind, xml_path, f"image id {image_name!r}")
            continue
        tree = _read_xml(xml_path, image_name, problems)
        if tree is None:
            continue
        size = _size(tree, path, image_name, problems)
        if size is not None:
            entries = _objects(tree, xml_path, size, class_of, keep_difficult, problems)
            records.append(Record(path, image_name, *size, *entries))
    folder = os.path.join(root, "JPEGImages")
    check_image_count(problems, max_bad_images, f"{root}, split {split!r},", folder)
    categories = [Category(index + 1, class_name) for index, class_name in enumerate(classes)]
    name = name or f"{os.path.basename(os.path.normpath(root))}_{split}"
    return DetectionDataset(name, categories, records, problems)


def _read_split(root, split):
    for folder in ("Annotations", "JPEGImages"):
        if not os.path.isdir(os.path.join(root, folder)):
            raise FileNotFoundError(
                f"`root` must hold the folders Annotations and JPEGImages; {folder} is missing. "
                f"Received: root={root}\n{tried(os.path.join(root, folder))}"
            )
    path = os.path.join(root, "ImageSets", "Main", f"{split}.txt")
    if not os.path.isfile(path):
        found = glob.glob(os.path.join(root, "ImageSets", "Main", "*.txt"))
        splits = sorted(os.path.splitext(os.path.basename(file))[0] for file in found)
        raise FileNotFoundError(
            f"The split file {path} does not exist; splits here: {splits}. "
            f"Received: split={split!r}\n{tried(path)}"
        )
    try:
        with open(path, encoding="utf-8-sig") as file:
            # The files of single classes ("dog_train.txt") have a second column of -1, 0, 1.
            names = [line.split()[0] for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"The split file {path} is no UTF-8 text: {error}.") from error
    if not names:
        raise DataError(f"The split file {path} names no image.")
    repeated = [image_name for image_name, n in collections.Counter(names).items() if n > 1]
    if repeated:
        raise DataError(
            f"The split file {path} names images more than once: {printable(repeated[:10])}"
        )
    return names


def _find_classes(root, annotations):
    found = set()
    for listed in glob.glob(os.path.join(glob.escape(root), "Annotations", "*.xml")):
        path, kind = annotations.find(os.path.basename(listed))
        if kind is not None:
            continue  # A split that names it reports it.
        tree = _read_xml(path, "", Problems())
        if tree is not None:
            found |= {_class_name(entry) for entry in tree.iter("object")}
    found.discard("")
    if not found:
        raise DataError(f"No object with a name in {os.path.join(root, 'Annotations')}/*.xml.")
    return VOC_CLASSES if found <= set(VOC_CLASSES) else tuple(sorted(found))


def _class_name(entry):
    """The class of an object; line breaks within count as spaces."""
    return " ".join((entry.findtext("name") or "").split())


def _find_image(images, image_name):
    """The path of an image and what is wrong with it, as `NamedFiles.find` returns them."""
    for ending in _EXTENSIONS:
        path, kind = images.find(image_name + ending)
        if kind is None:
            return path, None
    return images.find(image_name + _EXTENSIONS[0])


def _read_xml(path, image_name, problems):
    if not os.path.isfile(path):
        problems.add("missing_annotation", path, f"image id {image_name!r}")
        return None
    try:
        if os.path.getsize(path) > _MAX_XML:
            raise ValueError(f"it is larger than {_MAX_XML:,} bytes")
        return ElementTree.parse(path).getroot()
    # A LookupError is an unknown encoding.
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError, OSError) as error:
        problems.add("malformed_annotation", path, f"image id {image_name!r}: {error}")
        return None


def _size(tree, path, image_name, problems):
    try:
        size = (int(tree.findtext("size/height")), int(tree.findtext("size/width")))
    except (TypeError, ValueError):
        size = (0, 0)
    if is_size(*size):
        return size
    problems.add("unknown_size", path, f"image id {image_name!r}")
    size = read_size(path)
    if size is None:
        problems.add("undecodable_image", path, f"image id {image_name!r}")
    return size


def _objects(tree, path, size, class_of, keep_difficult, problems):
    boxes, classes, crowds, flags = [], [], [], []
    for position, entry in enumerate(tree.findall("object")):
        where = f"{path}, object {position}"
        class_name = _class_name(entry)
        if class_name not in class_of:
            problems.add("unknown_category", where, f"name {class_name!r}")
            continue
        texts = [entry.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
        try:
            corners = [float(text) for text in texts]
        except (TypeError, ValueError):
            problems.add("malformed_box", where, f"bndbox {texts}")
            continue
        box, kind = _check_corners(corners, size)
        if kind is not None:
            problems.add(kind, where, f"{class_name} bndbox {texts}, image {size[1]} x {size[0]}")
        difficult = (entry.findtext("difficult") or "0").strip() == "1"
        if box is None or (difficult and not keep_difficult):
            continue
        boxes.append(box)
        classes.append(class_of[class_name])
        crowds.append(False)
        flags.append(difficult)
    return boxes, classes, crowds, flags


def _check_corners(corners, size):
    xmin, ymin, xmax, ymax = corners
    if xmin == xmax or ymin == ymax:
        # To the letter a box of one pixel; in practice a slip of the annotation tool.
        return None, "zero_area"
    return check_box((xmin - 1, ymin - 1, xmax, ymax), *size)
