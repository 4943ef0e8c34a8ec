"""A detection data set in memory: categories, and for each image its file and its boxes."""

import dataclasses

import numpy as np

from detection.data.images import decode_image, read_bytes
from detection.data.problems import DataError, Problems

_CLASSES_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Category:
    """A class of objects: the data set's own id and its name."""

    id: int
    name: str


@dataclasses.dataclass
class Record:
    """One image and its objects.

    Args:
        image_path: String, the image file, or the file that contains it (see `byte_range`).
        image_id: Integer or string, the data set's own id.
        height: Integer, height of the image in pixels.
        width: Integer, width of the image in pixels.
        boxes: float32 array `(N, 4)`, `(x1, y1, x2, y2)` in pixels.
        classes: int32 array `(N,)`, position in the data set's list of categories.
        is_crowd: bool array `(N,)`, boxes around groups of objects (COCO).
        difficult: bool array `(N,)`, objects marked as difficult (Pascal VOC).
        areas: float32 array `(N,)`, area in square pixels by which COCO evaluation sorts objects
            into small, medium and large: that of the object's outline where the annotation has
            one. Defaults to the areas of the boxes.
        byte_range: Optional tuple `(offset, length)` of the encoded image inside `image_path`.
    """

    image_path: str
    image_id: int | str
    height: int
    width: int
    boxes: np.ndarray
    classes: np.ndarray
    is_crowd: np.ndarray = None
    difficult: np.ndarray = None
    areas: np.ndarray = None
    byte_range: tuple[int, int] | None = None

    def __post_init__(self):
        self.boxes = _array(self.boxes, "float32", (-1, 4))
        count = len(self.boxes)
        self.classes = _array(self.classes, "int32")
        self.is_crowd = _flags(self.is_crowd, count)
        self.difficult = _flags(self.difficult, count)
        if self.areas is None:
            self.areas = np.prod(self.boxes[:, 2:] - self.boxes[:, :2], axis=-1)
        self.areas = _array(self.areas, "float32")
        rows = (self.classes, self.is_crowd, self.difficult, self.areas)
        for name, values in zip(("classes", "is_crowd", "difficult", "areas"), rows):
            if len(values) != count:
                raise ValueError(
                    f"`{name}` must have one entry for each of the {count} boxes of image "
                    f"{self.image_id!r}. Received: {name}={values}"
                )

    @property
    def where(self):
        """String that names the image in messages: its file and, inside a shard, its id."""
        if self.byte_range is None:
            return self.image_path
        return f"{self.image_path}, image {self.image_id}"


class DetectionDataset:
    """Images with boxes: what every reader returns and every pipeline takes.

    Args:
        name: String, used in messages and file names.
        categories: Sequence of `Category`; their order gives the contiguous classes `0..K-1`.
        records: Sequence of `Record`, one for each image.
        problems: Optional `Problems` found while reading.

    Raises:
        DataError: If a category's name is empty or holds what a terminal does not print.

    Example:

    ```python
    dataset = load_coco("val2017", "annotations/instances_val2017.json")
    example = dataset.read(0)
    example["image"].shape, example["boxes"].shape    # (426, 640, 3), (20, 4)
    ```
    """

    def __init__(self, name, categories, records, problems=None):
        self.name = name
        self.categories = tuple(categories)
        self.records = list(records)
        self.problems = Problems() if problems is None else problems
        for category in self.categories:
            if not category.name.isprintable() or not category.name.strip():
                raise DataError(
                    f"The names of categories must be printable text. Received: {category.name!a} "
                    f"(id {category.id}) in {name}"
                )

    def __len__(self):
        return len(self.records)

    @property
    def class_names(self):
        """Tuple of names, in the order of the contiguous classes."""
        return tuple(category.name for category in self.categories)

    def read(self, index):
        """Reads one image and its objects.

        Args:
            index: Integer, position in the data set.

        Returns:
            A dict: `"image"` uint8 `(H, W, 3)` RGB, turned as its EXIF orientation says;
            `"boxes"` float32 `(N, 4)` as `(x1, y1, x2, y2)` in its pixels; `"classes"` int32
            `(N,)`; `"is_crowd"` bool `(N,)`; `"image_id"`; `"size"`, the tuple `(H, W)`.

        Raises:
            DataError: If the image is missing, does not decode, or is of another size than its
                annotation says. The message names the file.
        """
        record = self.records[index]
        return {
            "image": self.read_image(index),
            "boxes": record.boxes.copy(),
            "classes": record.classes.copy(),
            "is_crowd": record.is_crowd.copy(),
            "image_id": record.image_id,
            "size": (record.height, record.width),
        }

    def read_image(self, index):
        """Reads the pixels of one image: uint8 array `(H, W, 3)`, RGB."""
        record = self.records[index]
        data = read_bytes(record.image_path, record.byte_range)
        return decode_image(data, record.where, (record.height, record.width))

    def subset(self, indices, name=None):
        """Returns a data set of some of the images, with the same categories.

        Args:
            indices: Sequence of integers.
            name: Optional string, the name of the new data set.
        """
        records = [self.records[index] for index in indices]
        return DetectionDataset(name or self.name, self.categories, records, self.problems)

    def to_coco(self):
        """Returns the annotations as a dict in COCO's format, with the original ids.

        Every annotation has `bbox` `[x, y, width, height]` in pixels, `area`, `iscrowd` and,
        beyond COCO, `difficult` (0 or 1). Annotation ids count from 1.
        """
        images, annotations = [], []
        for record in self.records:
            images.append(
                {
                    "id": record.image_id,
                    "file_name": record.image_path,
                    "height": record.height,
                    "width": record.width,
                }
            )
            for position, (x1, y1, x2, y2) in enumerate(record.boxes.astype("float64").tolist()):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": record.image_id,
                        "category_id": self.categories[record.classes[position]].id,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": float(record.areas[position]),
                        "iscrowd": int(record.is_crowd[position]),
                        "difficult": int(record.difficult[position]),
                    }
                )
        categories = [{"id": category.id, "name": category.name} for category in self.categories]
        info = {"description": self.name}
        return {
            "info": info,
            "images": images,
            "annotations": annotations,
            "categories": categories,
        }

    def summary(self, rest=""):
        """Returns a short text: counts of images and boxes, the commonest classes, problems.

        Args:
            rest: String, where the problems are that the text does not name, if anywhere.
        """
        boxes = sum(len(record.boxes) for record in self.records)
        empty = sum(len(record.boxes) == 0 for record in self.records)
        lines = [
            f"{self.name}: {len(self)} images ({empty} without boxes), {boxes} boxes, "
            f"{len(self.categories)} classes"
        ]
        classes = [record.classes for record in self.records]
        counts = np.bincount(
            np.concatenate(classes) if classes else np.zeros(0, "int32"),
            minlength=len(self.categories),
        )
        crowds = sum(int(record.is_crowd.sum()) for record in self.records)
        difficult = sum(int(record.difficult.sum()) for record in self.records)
        shown = sorted(zip(counts.tolist(), self.class_names), key=lambda pair: -pair[0])
        names = ", ".join(f"{name} {n}" for n, name in shown[:_CLASSES_SHOWN])
        more = len(shown) - _CLASSES_SHOWN
        lines.append(f"  boxes by class: {names}{f' and {more} more' if more > 0 else ''}")
        if crowds or difficult:
            lines.append(f"  of these {crowds} crowd boxes, {difficult} difficult")
        lines.append(self.problems.summary(rest=rest))
        return "\n".join(lines)


def _flags(values, count):
    return np.zeros(count, bool) if values is None else _array(values, bool)


def _array(values, dtype, shape=(-1,)):
    values = np.asarray(values, dtype)
    # A reshape that changes nothing takes longer than the rest.
    if values.ndim == len(shape) and values.shape[1:] == shape[1:]:
        return values
    return values.reshape(shape)
