"""From the plan of a batch to its images: what both input pipelines share."""

import threading

import numpy as np

from keras_resnet.data.colour import jitter_colour
from keras_resnet.data.erasing import erase
from keras_resnet.data.evaluation import centre_crop
from keras_resnet.data.geometry import crop, random_resized_box, resize, shorter_side_size
from keras_resnet.data.lighting import shift_colours
from keras_resnet.data.operations import apply_operations

_CACHE_LIMIT = 2 * 1024**3  # Bytes that `cache="auto"` may use.
_CHUNK = 16  # Images that one thread does in a row; all of a batch are too many to wait for.


class RowMaker:
    """Reads, crops and augments the images of a batch as its plan says.

    Args:
        dataset: an `ImageDataset`.
        plan: a `BatchPlan` for it.
        together: int, rows that are made together; None for all of a batch.

    Attributes:
        size: int, height and width of the images in pixels.
        chunk: int, how many rows to make at a time; divides `together`.
    """

    def __init__(self, dataset, plan, together=None):
        config = plan.config
        self.plan = plan
        self.size = config.image_size if plan.training else config.eval_size[1]
        self.chunk = _chunk(together or config.batch_size, in_memory=dataset.images is not None)
        self._dataset = dataset
        limit = {"auto": _CACHE_LIMIT, True: np.inf, False: 0}[config.cache]
        self._cache = _Cache(dataset, limit if dataset.images is None else 0)

    def chunk_of(self, epoch, batch, number):
        """Some rows of a batch.

        Args:
            epoch, batch: ints.
            number: int, which `chunk` rows.

        Returns:
            `(images, labels)`: uint8 `(chunk, size, size, 3)` and int32 `(chunk,)`, black and
            -1 in filler rows.
        """
        rows = self.plan.batch(epoch, batch)
        first = number * self.chunk
        images = np.zeros((self.chunk, self.size, self.size, 3), "uint8")
        labels = np.full(self.chunk, -1, "int32")
        make = self._training_image if self.plan.training else self._evaluation_image
        for i in range(self.chunk):
            index = int(rows.index[first + i])
            if index >= 0:
                images[i] = make(index, rows, first + i)
                labels[i] = self._dataset.labels[index]
        return images, labels

    def _evaluation_image(self, index, rows, i):
        config = self.plan.config
        image = self._cache.read(index)
        try:
            return centre_crop(image, *config.eval_size, config.interpolation)
        except ValueError as error:
            raise ValueError(f"{self._dataset.where(index)}: {error}") from None

    def _training_image(self, index, rows, i):
        image = self._crop(self._cache.read(index), index, rows, i)
        if rows.flip is not None and rows.flip[i]:
            image = image[:, ::-1]
        if rows.operations is not None:
            image = apply_operations(image, rows.operations[i], rows.magnitude[i])
        if rows.colour is not None:
            image = jitter_colour(image, rows.colour[i], rows.colour_order[i])
        if rows.lighting is not None:
            image = shift_colours(image, rows.lighting[i])
        if rows.erased is not None:
            image = erase(image, rows.erased[i], self.plan.config.erasing_value)
        return image

    def _crop(self, image, index, rows, i):
        config, size, position = self.plan.config, self.size, rows.position[i]
        height, width = image.shape[:2]
        if config.crop == "random_resized":
            box = random_resized_box(
                height, width, rows.area[i], position, config.scale, config.ratio
            )
            return resize(crop(image, *box), size, size, config.interpolation)
        padding = 0
        if config.crop in ("scale_jitter", "resize_crop"):
            side = config.eval_size[0] if rows.side is None else int(rows.side[i])
            height, width = shorter_side_size(height, width, side)
            image = resize(image, height, width, config.interpolation)
        elif config.crop == "pad_crop":
            padding = config.padding
        room = (height + 2 * padding - size, width + 2 * padding - size)
        if min(room) < 0 or (config.crop == "none" and max(room) > 0):
            raise ValueError(
                f"{self._dataset.where(index)} is {width} x {height} pixels, which "
                f"`crop={config.crop!r}` makes no image of {size} x {size} from; choose another "
                "`crop`, such as 'random_resized', or another `image_size`."
            )
        top, left = (int(position[axis] * (room[axis] + 1)) - padding for axis in (0, 1))
        return crop(image, top, left, size, size, config.padding_value or (0, 0, 0))


class _Cache:
    """Decoded images, kept after the first reading as long as there is room."""

    def __init__(self, dataset, limit):
        self._dataset = dataset
        self._room = limit
        self._images = {}
        self._lock = threading.Lock()

    def read(self, index):
        image = self._images.get(index)
        if image is not None:
            return image
        image = self._dataset.read(index)
        if image.nbytes <= self._room:
            with self._lock:
                if index not in self._images:
                    self._images[index] = image
                    self._room -= image.nbytes
        return image


def _chunk(batch_size, in_memory):
    if in_memory:
        return batch_size
    return max(n for n in range(1, min(_CHUNK, batch_size) + 1) if batch_size % n == 0)
