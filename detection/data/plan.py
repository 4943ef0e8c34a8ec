"""The plan of an epoch: which image goes where in which batch, and what is done to it.

Everything is drawn from (seed, epoch, index of the sample) before any image is read, so that the
stream of batches does not depend on threads or devices, and a position in it is two integers.
"""

import functools
from typing import NamedTuple

import numpy as np

from detection.data.buckets import choose_buckets, smallest_cover
from detection.data.problems import DataError
from detection.data.transforms import resized_size

_SCALE_STEPS = 5  # How many values of a continuous range are considered to choose buckets.


class EpochPlan(NamedTuple):
    """One epoch; row `b * batch_size + i` is image `i` of batch `b`.

    Args:
        index: int32 `(R,)`, position in the data set; -1 marks filler rows.
        size: int32 `(R, 2)`, height and width of what is shown.
        bucket: int32 `(R, 2)`, height and width after padding, equal within a batch.
        flips: bool `(R, 2)`, horizontal and vertical.
        colour: float32 `(R, 3)`, factors of brightness, contrast and saturation.
        resized: int32 `(R, 2)`, height and width of the whole image after resizing.
        offset: int32 `(R, 2)`, row and column of it where what is shown begins.
    """

    index: np.ndarray
    size: np.ndarray
    bucket: np.ndarray
    flips: np.ndarray
    colour: np.ndarray
    resized: np.ndarray
    offset: np.ndarray


class BatchPlan:
    """The plans of all epochs of a data set under a configuration.

    In training the images are shuffled and grouped by the padded shape they need; what does not
    fill a batch is collected in mixed batches. Each image occurs once in an epoch, except that
    the last batch is filled up or left out as `drop_remainder` says. Outside training the order
    is that of the data set within each shape, and the last batch is filled with rows of index -1.

    Args:
        dataset: A `DetectionDataset`.
        config: A `DataPipelineConfig`.
        training: Boolean.

    Attributes:
        steps_per_epoch: Integer, the same for each epoch.
        shapes: int32 `(K, 2)`, all padded shapes that can occur.
        max_boxes: Integer, rows of ground truth in a batch.
        min_box: Number, shortest side of a box in pixels where windows are cut out, else `None`.

    Example:

    ```python
    plan = BatchPlan(dataset, config, training=True)
    plan.epoch(3).index[: config.batch_size]      # the first batch of the fourth epoch
    ```
    """

    def __init__(self, dataset, config, training):
        if len(dataset) == 0:
            raise DataError(f"The data set {dataset.name} has no images.")
        self.config = config
        self.training = training
        self.max_boxes = _max_boxes(dataset, config)
        self.min_box = None if self._jitter is None else self._jitter.min_box
        records = dataset.records
        self._sizes = np.array([(record.height, record.width) for record in records], "int64")
        batch_size, count = config.batch_size, len(dataset)
        if training and config.drop_remainder:
            self.steps_per_epoch = count // batch_size
        else:
            self.steps_per_epoch = -(-count // batch_size)
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"The data set {dataset.name} has {count} images, fewer than one batch: set "
                "`drop_remainder=False` or lower `batch_size`. "
                f"Received: batch_size={batch_size}, drop_remainder=True"
            )
        buckets = choose_buckets(self._possible_sizes(), config.size_divisor, config.max_buckets)
        whole = buckets.max(axis=0, keepdims=True)
        # Mixed batches of portraits and landscapes need a shape that covers both.
        covered = smallest_cover(whole, buckets)[0] >= 0 or batch_size == 1
        self.shapes = buckets if covered else np.concatenate([buckets, whole])
        self._buckets = buckets
        # Readers ask for the same epoch many times, around its end for two.
        self.epoch = functools.lru_cache(maxsize=2)(self._epoch)

    def check_start(self, start_epoch, start_batch):
        """Refuses a position that does not exist."""
        if start_epoch < 0 or not 0 <= start_batch < self.steps_per_epoch:
            raise ValueError(
                f"The start must be a batch of an epoch, 0 <= start_batch < "
                f"{self.steps_per_epoch}. Received: start_epoch={start_epoch}, "
                f"start_batch={start_batch}"
            )

    @property
    def _jitter(self):
        return self.config.large_scale_jitter if self.training else None

    def _sides(self):
        config = self.config
        if not self.training:
            return [config.eval_min_side or max(config.min_sides)]
        low, high = config.scale_jitter or (1.0, 1.0)
        scales = np.geomspace(low, high, _SCALE_STEPS) if low < high else [low]
        return [side * scale for side in sorted(set(config.min_sides)) for scale in scales]

    def _resized(self, height, width, side):
        return resized_size(height, width, side, self.config.max_side, self.config.rounding)

    def _possible_sizes(self):
        if self._jitter is not None:
            return np.full((1, 2), self._jitter.size)
        height, width = self._sizes.T
        sizes = [np.stack(self._resized(height, width, side), axis=-1) for side in self._sides()]
        return np.concatenate(sizes)

    def _epoch(self, epoch):
        """Returns the `EpochPlan` of an epoch, counted from 0."""
        count = len(self._sizes)
        resized, flips, colour = self._draw(epoch)
        sizes, offset = self._windows(epoch, resized)
        cover = smallest_cover(sizes, self._buckets)
        # The order has its own stream: the values of a sample do not depend on it.
        rng = np.random.default_rng([self.config.seed or 0, epoch, 1])
        shuffle = self.training and self.config.shuffle
        order = rng.permutation(count) if shuffle else np.arange(count)
        batches, shapes = self._batches(order, cover, rng if shuffle else None)
        index = batches.ravel()
        bucket = np.repeat(shapes, self.config.batch_size, axis=0)
        filler = index < 0
        size = np.where(filler[:, None], bucket, sizes[index])
        return EpochPlan(
            index.astype("int32"),
            size.astype("int32"),
            bucket.astype("int32"),
            flips[index] & ~filler[:, None],
            np.where(filler[:, None], 1, colour[index]).astype("float32"),
            np.where(filler[:, None], bucket, resized[index]).astype("int32"),
            np.where(filler[:, None], 0, offset[index]).astype("int32"),
        )

    def _draw(self, epoch):
        """Sizes, flips and colour factors of all samples, in the order of the data set."""
        config, count = self.config, len(self._sizes)
        height, width = self._sizes.T
        if not self.training:
            size = self._resized(height, width, self._sides()[0])
            return np.stack(size, axis=-1), np.zeros((count, 2), bool), np.ones((count, 3))
        # Row i of the stream belongs to sample i, whatever the number of samples. All columns
        # are drawn always: switching one augmentation on leaves the others as they were.
        draws = np.random.default_rng([config.seed or 0, epoch, 0]).random((count, 7))
        flips = draws[:, :2] < (config.horizontal_flip, config.vertical_flip)
        choice = (draws[:, 2] * len(config.min_sides)).astype("int64")
        low, high = np.log(config.scale_jitter or (1.0, 1.0))
        side = np.array(config.min_sides)[choice] * np.exp(low + (high - low) * draws[:, 3])
        size = self._resized(height, width, side)
        if self._jitter is not None:
            low, high = self._jitter.scale
            longer = self._jitter.size * (low + (high - low) * draws[:, 3])
            size = resized_size(height, width, np.inf, longer, config.rounding)
        strength = np.array([config.brightness, config.contrast, config.saturation])
        return np.stack(size, axis=-1), flips, 1 + strength * (2 * draws[:, 4:] - 1)

    def _windows(self, epoch, resized):
        """Sizes of what is shown of the resized images, and where it begins."""
        if self._jitter is None:
            return resized, np.zeros_like(resized)
        size = np.minimum(resized, self._jitter.size)
        # A stream of its own leaves all other values as they are without windows.
        draws = np.random.default_rng([self.config.seed or 0, epoch, 2]).random(size.shape)
        return size, (draws * (resized - size + 1)).astype("int64")

    def _batches(self, order, cover, rng):
        """Indices `(steps, batch_size)` and padded shapes `(steps, 2)`."""
        batch_size = self.config.batch_size
        full, rest = [], []
        for bucket in range(len(self._buckets)):
            members = order[cover[order] == bucket]
            whole = len(members) // batch_size * batch_size
            full.append(members[:whole].reshape(-1, batch_size))
            rest.append(members[whole:])
        if rng is not None:
            # Otherwise `drop_remainder` would always drop from the last bucket.
            rest = [rest[bucket] for bucket in rng.permutation(len(rest))]
        rest = self._complete(np.concatenate(rest), order, cover)
        batches = np.concatenate([*full, rest.reshape(-1, batch_size)])
        # A filler row's bucket is that of the smallest shape, which enlarges nothing.
        needed = self._buckets[np.where(batches < 0, 0, cover[batches])]
        needed = np.where((batches < 0)[..., None], 0, needed).max(axis=1)
        shapes = self.shapes[smallest_cover(needed, self.shapes)]
        if rng is not None:
            shuffled = rng.permutation(len(batches))
            batches, shapes = batches[shuffled], shapes[shuffled]
        return batches, shapes

    def _complete(self, rest, order, cover):
        """Makes the number of left-over samples a multiple of the batch size."""
        batch_size = self.config.batch_size
        missing = -len(rest) % batch_size
        if missing == 0:
            return rest
        if not self.training:
            return np.concatenate([rest, np.full(missing, -1)])
        if self.config.drop_remainder:
            return rest[: len(rest) - len(rest) % batch_size]
        # Fill up with images of the last one's shape, if possible not left over themselves.
        unlike = (cover[order] != cover[rest[-1]]) + 2 * np.isin(order, rest)
        candidates = order[np.argsort(unlike, kind="stable")]
        return np.concatenate([rest, np.resize(candidates, missing)])


def _max_boxes(dataset, config):
    counts = [len(record.boxes) for record in dataset.records]
    largest = int(np.argmax(counts))
    if config.max_boxes is None:
        return max(8, -(-counts[largest] // 8) * 8)
    if counts[largest] > config.max_boxes:
        record = dataset.records[largest]
        raise ValueError(
            f"`max_boxes` must be at least {counts[largest]}, the number of boxes on "
            f"{record.where}; None chooses it. Received: max_boxes={config.max_boxes}"
        )
    return config.max_boxes
