"""The input pipeline without TensorFlow: Keras' PyDataset, Pillow and NumPy."""

import concurrent.futures
import os
import threading
import weakref

import keras
import numpy as np

from keras_resnet.data.mixing import mix
from keras_resnet.data.plan import BatchPlan
from keras_resnet.data.rows import RowMaker
from keras_resnet.data.share import rows_of_share

_AHEAD = 3  # Batches that are read while the model trains.


class PyDatasetLoader(keras.utils.PyDataset):
    """Batches of labelled images as a `keras.utils.PyDataset`.

    For backends and machines without TensorFlow. Item `k` is a function of `k` alone; own threads
    read ahead. (Those of Keras would lose the batch that `fit` takes to build the model, and with
    it the exact position.)

    Args:
        dataset: an `ImageDataset`.
        config: a `ClassificationPipelineConfig`.
        training: bool, whether to shuffle, augment and mix.
        start_epoch, start_batch: ints, the first batch.
        endless: bool, whether item `steps_per_epoch` is the first batch of the next epoch, and so
            on; by default `training`. Otherwise the loader has one epoch, and in training moves
            to the next one when Keras calls `on_epoch_end`.
        share: `(index, count)`, which process of how many this is: it reads its rows of each
            batch. The batches themselves are the same for any number of processes.

    Returns (by index):
        A pair `(x, y)` of NumPy arrays as described at `make_batches`.

    Raises:
        ValueError: a start outside the epoch, fewer images than one batch.

    Example:
    ```python
    batches = PyDatasetLoader(dataset, ClassificationPipelineConfig(batch_size=256), training=True)
    model.fit(batches, steps_per_epoch=batches.steps_per_epoch, epochs=90)
    ```
    """

    def __init__(
        self,
        dataset,
        config,
        training,
        start_epoch=0,
        start_batch=0,
        endless=None,
        share=(0, 1),
    ):
        super().__init__(workers=1)
        self.plan = BatchPlan(dataset, config, training)
        self.plan.check_start(start_epoch, start_batch)
        self.steps_per_epoch = self.plan.steps_per_epoch
        self.rows = self.plan.rows
        rows = rows_of_share(config.batch_size, share)
        self._maker = RowMaker(dataset, self.plan, together=rows.stop - rows.start)
        # An image may be mixed with any other of the batch, which all processes read then.
        mixes = training and config.mixes
        self._mixed_rows = rows if mixes else None
        whole = range(config.batch_size) if mixes else range(rows.start, rows.stop)
        self._chunks = [row // self._maker.chunk for row in whole[:: self._maker.chunk]]
        self._classes = len(dataset.class_names)
        self._endless = training if endless is None else endless
        self._epoch = start_epoch
        self._start_batch = start_batch
        workers = config.workers or max(2, os.cpu_count() or 1)
        self._pool = concurrent.futures.ThreadPoolExecutor(workers)
        self._pending = {}
        self._lock = threading.Lock()
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    @property
    def num_batches(self):
        """Number of batches that Keras takes in an epoch; None when endless."""
        return None if self._endless else len(self)

    def __len__(self):
        return self.steps_per_epoch - self._start_batch

    def on_epoch_end(self):
        """Moves to the next epoch where the end of an epoch is the end of the loader."""
        if not self._endless and self.plan.training:
            with self._lock:
                self._forget(self._pending)
                self._epoch += 1
                self._start_batch = 0

    def __getitem__(self, index):
        if index < 0 or (not self._endless and index >= len(self)):
            raise IndexError(f"The loader has {len(self)} batches. Received: index={index}")
        with self._lock:
            wanted = range(index, index + _AHEAD + 1)
            if not self._endless:
                wanted = range(index, min(wanted.stop, len(self)))
            self._forget(self._pending.keys() - set(wanted))
            for position in wanted:
                if position not in self._pending:
                    self._pending[position] = self._start(position)
            place, jobs = self._pending.pop(index)
        images, labels = zip(*(job.result() for job in jobs))
        images, labels = (v[0] if len(v) == 1 else np.concatenate(v) for v in (images, labels))
        mixing = self.plan.mixing(*place)
        if mixing is None:
            return images, labels
        return tuple(v[self._mixed_rows] for v in mix(images, labels, self._classes, mixing))

    def _start(self, position):
        """Starts reading a batch; returns its epoch and number, and the jobs."""
        epochs, batch = divmod(self._start_batch + position, self.steps_per_epoch)
        place = (self._epoch + epochs, batch)
        submit = self._pool.submit
        return place, [submit(self._maker.chunk_of, *place, i) for i in self._chunks]

    def _forget(self, positions):
        for position in list(positions):
            for job in self._pending.pop(position)[1]:
                job.cancel()
