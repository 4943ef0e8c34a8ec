"""The plan of a batch: which images it has and what is done to them.

Everything random comes from (seed, epoch, batch), before any image is read, so that the batches
do not depend on threads, backend or where a run started.
"""

import functools
import threading
from typing import NamedTuple

import numpy as np

from keras_resnet.data import operations
from keras_resnet.data.erasing import erasing_boxes
from keras_resnet.data.lighting import lighting_shifts
from keras_resnet.data.mixing import draw_mixing
from keras_resnet.data.order import AUGMENTATION, MIXING, epoch_order

_ATTEMPTS = 10  # At a random rectangle of a shape that fits.

# Parts of the stream AUGMENTATION: switching one on leaves the others as they were.
_AREA, _SIDE, _OPERATIONS, _COLOUR, _LIGHTING, _ERASING = range(6)


class Rows(NamedTuple):
    """What is done to the images of a batch, in the order of the batch.

    Args:
        index: int32 `(B,)`, positions in the data set; -1 for rows that fill up the last batch
            of an evaluation.
        position: float `(B, 2)` 0..1, where the crop lies (y, x).
        flip: bool `(B,)`, mirrored left and right.
        area: float `(B, 10, 2)` 0..1, attempts at area and shape of a random resized crop.
        side: int `(B,)`, length of the shorter side for `"scale_jitter"`.
        operations: int `(B, N)`, numbers of the operations of RandAugment or TrivialAugment.
        magnitude: float `(B, N)`, their strengths.
        colour: float `(B, 4)`, factors of brightness, contrast and saturation, shift of the hue.
        colour_order: int `(B, 4)`, the order of these.
        lighting: float32 `(B, 3)`, what is added to red, green and blue.
        erased: int `(B, 4)`, rectangles (top, left, height, width), of height 0 for none.

    What the configuration does not switch on is None.
    """

    index: np.ndarray
    position: np.ndarray | None = None
    flip: np.ndarray | None = None
    area: np.ndarray | None = None
    side: np.ndarray | None = None
    operations: np.ndarray | None = None
    magnitude: np.ndarray | None = None
    colour: np.ndarray | None = None
    colour_order: np.ndarray | None = None
    lighting: np.ndarray | None = None
    erased: np.ndarray | None = None


class BatchPlan:
    """The plans of all batches of a data set under a configuration.

    Args:
        dataset: an `ImageDataset`.
        config: a `ClassificationPipelineConfig`.
        training: bool.

    Attributes:
        steps_per_epoch: int, the same for each epoch.

    Raises:
        ValueError: fewer images than one batch, where incomplete batches are left out.

    Example:
    >>> from keras_resnet.data.config import ClassificationPipelineConfig
    >>> from keras_resnet.data.dataset import ImageDataset
    >>> data = ImageDataset("blank", ["a"], [0] * 5, images=np.zeros((5, 32, 32, 3), "uint8"))
    >>> config = ClassificationPipelineConfig(batch_size=2, image_size=32, crop="pad_crop")
    >>> plan = BatchPlan(data, config, training=False)
    >>> plan.steps_per_epoch, plan.batch(epoch=0, batch=2).index.tolist()
    (3, [4, -1])
    """

    def __init__(self, dataset, config, training):
        self.config = config
        self.training = training
        self._count = len(dataset)
        self._seed = config.seed or 0
        whole = training and config.drop_remainder
        size = config.batch_size
        self.steps_per_epoch = self._count // size if whole else -(-self._count // size)
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"{dataset.name} has {self._count} images, fewer than one batch; lower "
                f"`batch_size` or set `drop_remainder=False`. Received: batch_size={size}"
            )
        # Readers ask for the same batch many times, and around the end of an epoch for two.
        self._epoch = functools.lru_cache(maxsize=2)(self._draw_epoch)
        self.batch = functools.lru_cache(maxsize=64)(self._draw_batch)
        self._lock = threading.Lock()

    def check_start(self, start_epoch, start_batch):
        """Refuses a position that does not exist."""
        if start_epoch < 0 or not 0 <= start_batch < self.steps_per_epoch:
            raise ValueError(
                f"The start must be a batch of an epoch, 0 <= start_batch < "
                f"{self.steps_per_epoch}. Received: start_epoch={start_epoch}, "
                f"start_batch={start_batch}"
            )

    def rows(self, epoch, batch):
        """Positions in the data set of the images of a batch: int32, without filler."""
        index = self._positions(epoch, batch)[0]
        return index[index >= 0]

    def mixing(self, epoch, batch):
        """The `Mixing` of a batch, or None."""
        config = self.config
        if not (self.training and config.mixes):
            return None
        rng = np.random.default_rng([self._seed, epoch, MIXING, batch])
        return draw_mixing(rng, config.batch_size, config.image_size, config.mixup, config.cutmix)

    def _draw_epoch(self, epoch):
        """Positions of the images in the order of the epoch, and `_draw_base` in that order."""
        order, repetition = self._draw_order(epoch)
        return order, self._draw_base(epoch)[repetition, order] if self.training else None

    def _draw_order(self, epoch):
        """Positions of an epoch's images, and which repetition of the image each is."""
        config = self.config
        repeats = config.repeats if self.training else 1
        shuffle = self.training and config.shuffle
        order = epoch_order(self._count, self._seed, epoch, shuffle, repeats)
        repetition = np.arange(self._count) % repeats
        missing = self.steps_per_epoch * config.batch_size - self._count
        if missing <= 0:
            return order, repetition
        if not self.training:
            filler = np.full(missing, -1, "int32")
            return np.concatenate([order, filler]), np.pad(repetition, (0, missing))
        return np.resize(order, self._count + missing), np.resize(repetition, self._count + missing)

    def _draw_base(self, epoch):
        """Position of the crop and flip of each image: float `(repeats, N, 3)`.

        Row `i` belongs to image `i`, as in the loader that keeps images on the device, so that
        both see the same stream.
        """
        rng = np.random.default_rng([self._seed, epoch, AUGMENTATION])
        return rng.random((self.config.repeats, self._count, 3))

    def _positions(self, epoch, batch):
        rows = slice(batch * self.config.batch_size, (batch + 1) * self.config.batch_size)
        # Millions of numbers: threads that start an epoch together draw them once.
        with self._lock:
            order, base = self._epoch(epoch)
        return order[rows], None if base is None else base[rows]

    def _draw_batch(self, epoch, batch):
        """The `Rows` of a batch."""
        index, base = self._positions(epoch, batch)
        if not self.training:
            return Rows(index)
        config, size = self.config, len(index)

        def part(number):
            return np.random.default_rng([self._seed, epoch, AUGMENTATION, batch, number])

        rows = Rows(index, position=base[:, :2])
        if config.horizontal_flip > 0:
            rows = rows._replace(flip=base[:, 2] < config.horizontal_flip)
        if config.crop == "random_resized":
            rows = rows._replace(area=part(_AREA).random((size, _ATTEMPTS, 2)))
        if config.crop == "scale_jitter":
            low, high = config.shorter_side
            rows = rows._replace(side=part(_SIDE).integers(low, high + 1, size))
        if config.rand_augment is not None:
            drawn = operations.draw_rand_augment(part(_OPERATIONS), size, config)
            rows = rows._replace(operations=drawn[0], magnitude=drawn[1])
        if config.trivial_augment:
            drawn = operations.draw_trivial_augment(part(_OPERATIONS), size)
            rows = rows._replace(operations=drawn[0], magnitude=drawn[1])
        if config.changes_colour:
            rng = part(_COLOUR)
            strength = (config.brightness, config.contrast, config.saturation, config.hue)
            change = np.array(strength) * rng.uniform(-1, 1, (size, 4))
            order = rng.permuted(np.tile(np.arange(4), (size, 1)), axis=1)
            rows = rows._replace(colour=change + np.array([1, 1, 1, 0]), colour_order=order)
        if config.pca_lighting > 0:
            shifts = lighting_shifts(part(_LIGHTING).normal(0, config.pca_lighting, (size, 3)))
            rows = rows._replace(lighting=shifts)
        if config.random_erasing > 0:
            rng = part(_ERASING)
            hit = rng.random(size) < config.random_erasing
            boxes = erasing_boxes(
                rng.random((size, _ATTEMPTS, 2)), rng.random((size, 2)), config.image_size
            )
            rows = rows._replace(erased=np.where(hit[:, None], boxes, 0))
        return rows
