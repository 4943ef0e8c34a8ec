"""Stops a run as soon as a loss is no longer a number."""

import math

import keras


class TrainingDiverged(RuntimeError):
    """A loss became NaN or infinite.

    Attributes:
        epoch: int from 0.
        step: int from 0, the last step of the execution in which it happened.
        losses: dict of the broken losses.
    """

    def __init__(self, message, epoch, step, losses):
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.losses = losses


def broken_losses(logs):
    """The losses among logs that are NaN or infinite.

    Args:
        logs: dict from name to number, as Keras gives it to callbacks.

    Returns:
        Dict from name to float, of the entries called `loss` or `..._loss`.
    """
    losses = {k: float(v) for k, v in logs.items() if k == "loss" or k.endswith("_loss")}
    return {k: v for k, v in losses.items() if not math.isfinite(v)}


class NaNStop(keras.callbacks.Callback):
    """Raises `TrainingDiverged` out of `fit` at the step where a loss breaks.

    No callback of the epoch's end runs after it, so checkpoints on disk stay as they were.

    Args:
        describe: callable `(epoch, step) -> str` telling about the batch, such as the ids of its
            images; None for nothing.

    Example:
    ```python
    stop = NaNStop(lambda epoch, step: f"image ids {order(epoch)[step]}")
    model.fit(data, callbacks=[stop])
    ```
    """

    def __init__(self, describe=None):
        super().__init__()
        self.describe = describe

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        broken = broken_losses(logs or {})
        if not broken:
            return
        names = ", ".join(f"{name} is {value}" for name, value in broken.items())
        message = f"Training diverged in epoch {self._epoch + 1}, step {batch + 1}: {names}."
        if self.describe is not None:
            message += f" Batch: {self.describe(self._epoch, batch)}."
        message += (
            " The checkpoints of earlier epochs are untouched. Try a lower learning rate, a longer "
            "warm-up or gradient clipping, and check the boxes of the images."
        )
        raise TrainingDiverged(message, self._epoch, batch, broken)
