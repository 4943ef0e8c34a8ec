"""What every source of labelled images looks like to the input pipelines."""

import hashlib
import os

import numpy as np

from keras_resnet.data.problems import Problems


class ImageDataset:
    """Images with one label each, read one by one.

    Args:
        name: str for messages.
        class_names: sequence of str; a label is a position in it.
        labels: int array `(N,)`.
        read: callable from an index to a uint8 image `(H, W, 3)`.
        where: callable from an index to a str that names the image in messages, such as its
            path. Defaults to `name[index]`.
        images: optional uint8 array `(N, H, W, 3)` holding all images, for loaders that keep
            the data set on the device. `read` is then not needed.
        problems: optional `Problems` found while reading.

    Attributes:
        labels: int32 array `(N,)`.
        problems: a `Problems`: images that were left out.

    Raises:
        ValueError: no images, a label outside the classes, arrays that do not fit together.

    Example:
    >>> import numpy as np
    >>> images = np.zeros((4, 32, 32, 3), "uint8")
    >>> data = ImageDataset("blank", ("a", "b"), [0, 1, 1, 0], images=images)
    >>> len(data), data.read(1).shape
    (4, (32, 32, 3))
    """

    def __init__(
        self, name, class_names, labels, read=None, where=None, images=None, problems=None
    ):
        self.name = name
        self.problems = Problems() if problems is None else problems
        self.class_names = tuple(class_names)
        for class_name in self.class_names:
            if not class_name.isprintable() or not class_name.strip():
                raise ValueError(
                    f"The class names of {name} must be printable text. Received: {class_name!a}"
                )
        labels = np.asarray(labels)
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"The labels of {name} must be one integer an image. "
                f"Received: shape {labels.shape}, dtype {labels.dtype}"
            )
        if len(labels) == 0:
            raise ValueError(f"The data set {name} has no images.")
        self.labels = labels.astype("int32")
        bad = np.flatnonzero((labels < 0) | (labels >= len(self.class_names)))
        if len(bad):
            raise ValueError(
                f"{len(bad)} labels of {name} lie outside its {len(self.class_names)} classes, "
                f"the first at position {bad[0]}. Received: label {labels[bad[0]]}"
            )
        if (read is None) == (images is None):
            raise ValueError("Give either `read` or `images`.")
        if images is not None and (
            images.dtype != np.uint8
            or images.ndim != 4
            or images.shape[3] != 3
            or len(images) != len(labels)
        ):
            raise ValueError(
                f"The images of {name} must be uint8 of the shape ({len(labels)}, height, width, "
                f"3). Received: shape {images.shape}, dtype {images.dtype}"
            )
        self.images = images
        self._read = read
        self._where = where

    def __len__(self):
        return len(self.labels)

    def read(self, index):
        """The image at a position: uint8 `(H, W, 3)`."""
        return self.images[index] if self._read is None else self._read(index)

    def where(self, index):
        """What to call the image at a position in a message."""
        return f"{self.name}[{index}]" if self._where is None else self._where(index)

    def fingerprint(self):
        """Tells data sets of other images or labels apart: number of images and a hash.

        The hash is over the pixels where they are in memory, else over the names of the images and
        their files (see `hash_files`); of paths only the last two parts count, so that data may be
        moved.
        """
        total = hashlib.sha256(self.labels.tobytes())
        if self.images is not None:
            total.update(np.ascontiguousarray(self.images))
        else:
            places = [self.where(index) for index in range(len(self))]
            for place in places:
                name = "/".join(place.split("/")[-2:])
                total.update(name.encode("utf-8", "surrogatepass") + b"\0")
            hash_files(total, places)
        return {"count": len(self), "sha256": total.hexdigest()}

    def summary(self, rest=""):
        """One line for the head of a log, and what was left out below it.

        Args:
            rest: String, where the problems are that it does not name, if anywhere.
        """
        line = f"{self.name}: {len(self):,} images, {len(self.class_names)} classes"
        return f"{line}\n{self.problems.summary(rest=rest)}" if len(self.problems) else line


def hash_files(total, paths):
    """Adds files to a hash: the length of each, and what is in some of them.

    Reading all of a large data set would take minutes; so of more than 64 files the content of 64
    counts, evenly spaced.

    Args:
        total: a hash of `hashlib`.
        paths: list of str. What is no file, such as an image inside of an archive, has no part.
    """
    read = set(np.linspace(0, len(paths) - 1, 64).astype(int).tolist()) if paths else ()
    for index, path in enumerate(paths):
        try:
            total.update(f"{os.stat(path).st_size}\0".encode())
            if index in read:
                with open(path, "rb") as stream:
                    total.update(hashlib.file_digest(stream, "sha256").digest())
        except (OSError, ValueError):
            total.update(b"-\0")
