"""Images per second, and the share of the time that training waits for data."""

import time

import keras


class Throughput(keras.callbacks.Callback):
    """Adds `time/images_per_second` and `time/input_wait` to the logs of each epoch.

    Both are of the steps after the first of the epoch, which may compile; evaluation is left out.
    An epoch that is one execution has neither. Place it before callbacks that read the logs.

    Args:
        images_per_step: int, or None for no images per second.
        waiting_seconds: callable giving the seconds that training has waited for data so far, or
            None for no share.
        clock: callable giving seconds.

    Example:
    ```python
    model.fit(data, callbacks=[Throughput(images_per_step=128), CSVResults("results.csv")])
    ```
    """

    def __init__(self, images_per_step=None, waiting_seconds=None, clock=time.perf_counter):
        super().__init__()
        self.images_per_step = images_per_step
        self.waiting_seconds = waiting_seconds
        self._clock = clock

    def on_epoch_begin(self, epoch, logs=None):
        self._first = self._last = None

    def on_train_batch_end(self, batch, logs=None):
        self._last = (batch + 1, self._clock())
        if self._first is None:
            self._first = self._last
            self._waited = self.waiting_seconds() if self.waiting_seconds else None

    def on_epoch_end(self, epoch, logs=None):
        if self._first is None or self._last[1] <= self._first[1]:
            return
        steps, seconds = (last - first for last, first in zip(self._last, self._first))
        if self.images_per_step:
            logs["time/images_per_second"] = steps * self.images_per_step / seconds
        if self.waiting_seconds:
            logs["time/input_wait"] = (self.waiting_seconds() - self._waited) / seconds
