"""Ends a run after a number of steps."""

import keras


class StopAfter(keras.callbacks.Callback):
    """Ends training after a number of steps, also within an epoch.

    Args:
        steps: int, steps of the whole run.
        steps_per_epoch: int, steps of each epoch before the last.

    Raises:
        ValueError: a number below 1.

    Example:
    ```python
    model.fit(data, epochs=10, steps_per_epoch=100, callbacks=[StopAfter(950, 100)])
    ```
    """

    def __init__(self, steps, steps_per_epoch):
        super().__init__()
        if steps < 1 or steps_per_epoch < 1:
            raise ValueError(
                "A run and an epoch have at least one step. "
                f"Received: steps={steps}, steps_per_epoch={steps_per_epoch}"
            )
        self.steps = steps
        self.steps_per_epoch = steps_per_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self._before = epoch * self.steps_per_epoch

    def on_train_batch_end(self, batch, logs=None):
        # With several steps an execution, `batch` jumps; it counts from 0 in each epoch.
        if self._before + batch + 1 >= self.steps:
            self.model.stop_training = True
