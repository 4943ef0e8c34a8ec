"""Ends a run when a figure no longer gets better."""

import math

import keras


class EarlyStopping(keras.callbacks.Callback):
    """Ends training when a figure has had no new best for a number of epochs.

    It looks at the epochs that are evaluated. The best epoch is part of a run's state, so a
    continued run ends where an uninterrupted one does, and one that has ended stays so. `loop.fit`
    knows it; the best weights are those that `Checkpoints` keeps.

    Args:
        monitor: name of the log that should rise, such as `"metrics/mAP50-95"`; epochs without it
            are passed over.
        patience: int, epochs since the best one.
        say: callable that prints a line.

    Raises:
        ValueError: a patience below 1.

    Example:
    ```python
    fit(model, make_batches, callbacks=[EarlyStopping("val_accuracy", patience=10)], ...)
    ```
    """

    def __init__(self, monitor, patience, say=print):
        super().__init__()
        if patience < 1:
            raise ValueError(f"`patience` must be at least 1. Received: patience={patience}")
        self.monitor, self.patience = monitor, patience
        self._say = say
        self._best = self._best_epoch = None
        self.ended = False

    def get_run_state(self):
        return {"best": self._best, "epoch": self._best_epoch, "ended": self.ended}

    def set_run_state(self, state):
        self._best, self._best_epoch = state["best"], state["epoch"]
        self.ended = state["ended"]

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self.monitor)
        if value is None or math.isnan(value):
            return
        if self._best is None or float(value) > self._best:
            self._best, self._best_epoch = float(value), epoch
        elif epoch - self._best_epoch >= self.patience:
            self.ended = self.model.stop_training = True
            self._say(
                f"{self.monitor} was best in epoch {self._best_epoch + 1}, {self.patience} epochs "
                "ago or more: training ends here (train.early_stopping)"
            )
