"""All boxes of a data set as columns."""

import numpy as np

from detection.data.transforms import resized_size


class BoxTable:
    """The boxes and images of a data set as arrays.

    Args:
        dataset: A `DetectionDataset`.

    Attributes:
        image: int64 `(N,)`, the image of each box, as its position in the data set.
        position: int64 `(N,)`, place of each box among those of its image.
        boxes: float64 `(N, 4)`, `(x1, y1, x2, y2)` in pixels of the file.
        classes: int64 `(N,)`.
        single: bool `(N,)`, false for crowd boxes, which stand for several objects.
        areas: float64 `(N,)`, by which COCO sorts objects into small, medium and large.
        image_sizes: int64 `(I, 2)`, height and width of each image.
        counts: int64 `(I,)`, boxes of each image.
    """

    def __init__(self, dataset):
        self.dataset = dataset
        records = dataset.records
        self.counts = np.array([len(record.boxes) for record in records], "int64")
        self.image = np.repeat(np.arange(len(records)), self.counts)
        first = np.cumsum(self.counts) - self.counts
        self.position = np.arange(len(self.image)) - np.repeat(first, self.counts)
        self.boxes = self._column("boxes", "float64").reshape(-1, 4)
        self.classes = self._column("classes", "int64")
        self.single = ~self._column("is_crowd", "bool")
        self.areas = self._column("areas", "float64")
        sizes = [(record.height, record.width) for record in records]
        self.image_sizes = np.array(sizes, "int64").reshape(-1, 2)

    def __len__(self):
        return len(self.image)

    @property
    def sides(self):
        """float64 `(N, 2)`, width and height of the boxes in pixels of the file."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    def resized_images(self, pipeline):
        """int64 `(I, 2)`, height and width of the images as evaluation resizes them.

        Args:
            pipeline: A `DataPipelineConfig`.
        """
        side = pipeline.eval_min_side or max(pipeline.min_sides)
        height, width = self.image_sizes.T
        size = resized_size(height, width, side, pipeline.max_side, pipeline.rounding)
        return np.stack(size, axis=-1).astype("int64")

    def resized_sides(self, pipeline):
        """float64 `(N, 2)`, width and height of the boxes as evaluation resizes them."""
        scale = self.resized_images(pipeline) / self.image_sizes
        return self.sides * scale[self.image][:, ::-1]

    def where(self, row):
        """String that names a box: the image and the place of the box in it."""
        record = self.dataset.records[self.image[row]]
        return f"{record.where}, box {self.position[row]}"

    def _column(self, name, dtype):
        columns = [getattr(record, name) for record in self.dataset.records]
        return np.concatenate(columns).astype(dtype) if columns else np.zeros(0, dtype)
