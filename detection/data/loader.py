"""The input pipeline without TensorFlow: Keras' PyDataset and threads."""

import concurrent.futures
import threading
import weakref

import keras

from detection.data.plan import BatchPlan
from detection.data.rows import RowMaker
from keras_resnet.data.share import rows_of_share


class PyDatasetLoader(keras.utils.PyDataset):
    """Batches of a data set as a `keras.utils.PyDataset`.

    The same plan, the same batches and the same position as `tf_pipeline`, for backends and
    machines without TensorFlow. Item `k` is a function of `k` alone; own threads read ahead.
    (Those of Keras would lose the batch that `fit` takes to build the model, and with it the
    exact position.) Where the backend is TensorFlow use `tf_pipeline`: Keras would expect all
    batches to have the padded shapes of the first two.

    Args:
        dataset: A `DetectionDataset`.
        config: A `DataPipelineConfig`.
        training: Boolean, whether to shuffle and augment.
        start_epoch: Integer, the first epoch.
        start_batch: Integer, the first batch of the first epoch.
        endless: Boolean, whether item `steps_per_epoch` is the first batch of the next epoch, and
            so on. Defaults to `training`. Otherwise the loader has one epoch, and in training
            moves to the next one when Keras calls `on_epoch_end`.
        share: `(index, count)`, which process of how many this is: it reads its rows of each
            batch. The batches themselves are the same for any number of processes.

    Returns (by index):
        A pair `(x, y)` of dicts of NumPy arrays as described at `tf_pipeline`.

    Raises:
        ValueError: If the start lies outside the epoch.

    Example:

    ```python
    batches = PyDatasetLoader(dataset, DataPipelineConfig(batch_size=4), training=True)
    model.fit(batches, steps_per_epoch=batches.steps_per_epoch, epochs=12)
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
        self._maker = RowMaker(dataset, self.plan)
        self._share = rows_of_share(config.batch_size, share)
        self._endless = training if endless is None else endless
        self._epoch = start_epoch
        self._start_batch = start_batch
        self._pool = concurrent.futures.ThreadPoolExecutor(self._maker.batches)
        self._ahead = self._maker.batches + 1
        self._pending = {}
        self._lock = threading.Lock()
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    @property
    def num_batches(self):
        """Number of batches that Keras takes in an epoch; `None` when endless."""
        return None if self._endless else self.steps_per_epoch - self._start_batch

    def __len__(self):
        return self.steps_per_epoch - self._start_batch

    def on_epoch_end(self):
        """Moves to the next epoch where the end of an epoch is the end of the loader."""
        if not self._endless and self.plan.training:
            with self._lock:
                self._pending.clear()
                self._epoch += 1
                self._start_batch = 0

    def __getitem__(self, index):
        if index < 0 or (not self._endless and index >= len(self)):
            raise IndexError(f"The loader has {len(self)} batches. Received: index={index}")
        with self._lock:
            wanted = range(index, index + self._ahead)
            if not self._endless:
                wanted = range(index, min(wanted.stop, len(self)))
            for position in self._pending.keys() - set(wanted):
                self._pending.pop(position).cancel()
            for position in wanted:
                if position not in self._pending:
                    epochs, batch = divmod(self._start_batch + position, self.steps_per_epoch)
                    job = self._pool.submit(
                        self._maker.batch, self._epoch + epochs, batch, self._share
                    )
                    self._pending[position] = job
            job = self._pending.pop(index)
        return job.result()
