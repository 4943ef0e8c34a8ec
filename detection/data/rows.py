"""From the plan of a batch to its arrays: what both input pipelines share."""

import concurrent.futures
import os
import weakref

import numpy as np

from detection.data.examples import View, empty_targets, make_cache, make_targets
from detection.data.transforms import (
    flip_into,
    jitter_colour,
    resize_bilinear,
    resize_rounded,
    to_dtype,
)

_ALIGNMENT = 64  # Bytes; TensorFlow takes over arrays that begin at a multiple without a copy.


class RowMaker:
    """Reads, resizes and augments the images of a batch as its plan says.

    Args:
        dataset: A `DetectionDataset`.
        plan: A `BatchPlan` for it.

    Attributes:
        plan: The plan.
        dtype: String, that of the images.
        batches: Integer, how many batches to make at once so that all readers have work.
    """

    def __init__(self, dataset, plan):
        config = plan.config
        workers = config.workers or max(2, os.cpu_count() or 1)
        self.plan = plan
        self.dtype = config.dtype(plan.training)
        self.batches = max(2, -(-2 * workers // config.batch_size))
        self._colourful = config.has_colour_jitter(plan.training)
        self._dataset = dataset
        self._cache = make_cache(dataset, config, plan.training)
        self._pool = concurrent.futures.ThreadPoolExecutor(workers)
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    def batch(self, epoch, batch, share=slice(None)):
        """Makes a batch, or some rows of it.

        Args:
            epoch, batch: Integers.
            share: Slice, which rows.

        Returns:
            A pair `(x, y)` of dicts of NumPy arrays as described at `tf_pipeline`.
        """
        plan, size = self.plan.epoch(epoch), self.plan.config.batch_size
        rows = range(batch * size, (batch + 1) * size)[share]
        images = _aligned((len(rows), *plan.bucket[rows[0]].tolist(), 3), self.dtype)
        targets = list(
            self._pool.map(lambda i: self._row(plan, rows[i], images[i]), range(len(rows)))
        )
        y = {name: np.stack([row[name] for row in targets]) for name in targets[0]}
        return {"images": images, "image_sizes": plan.size[rows.start : rows.stop]}, y

    def _row(self, plan, row, image):
        """Fills one image and returns its targets."""
        index = int(plan.index[row])
        if index < 0:
            image[...] = 0
            return empty_targets(self.plan.max_boxes)
        columns = (plan.resized, plan.offset, plan.size, plan.flips)
        view = View(*(tuple(column[row].tolist()) for column in columns))
        height, width = view.size
        image[height:], image[:height, width:] = 0, 0
        self._show(self._cache.read(index), view, plan.colour[row], image[:height, :width])
        record = self._dataset.records[index]
        return make_targets(record, index, view, self.plan.max_boxes, self.plan.min_box)

    def _show(self, image, view, colour, out):
        whole = view.resized == view.size
        if whole and self.dtype == "uint8" and not (any(view.flips) or self._colourful):
            resize_rounded(image, *view.resized, out)
            return
        resize = resize_rounded if self.dtype == "uint8" else resize_bilinear
        image = resize(image, *view.resized)
        (y, x), (height, width) = view.offset, view.size
        image = image[y : y + height, x : x + width]
        if self._colourful:
            image = to_dtype(jitter_colour(image.astype("float32"), colour), self.dtype)
        flip_into(image, view.flips, out)


def _aligned(shape, dtype):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, "uint8")
    first = -memory.ctypes.data % _ALIGNMENT
    return memory[first : first + size].view(dtype).reshape(shape)
