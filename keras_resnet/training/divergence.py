"""Stops a run as soon as a loss is no longer a number."""

import math
import pathlib

import keras

from keras_resnet.training.broken_batch import flat, not_finite, save_batch
from keras_resnet.training.processes import is_main
from keras_resnet.training.variable_keys import variable_keys


class TrainingDiverged(RuntimeError):
    """A loss became NaN or infinite, or float16 cannot hold the gradients.

    Attributes:
        epoch: int from 0.
        step: int from 0, the last step of the execution in which it happened.
        losses: dict of the broken losses.
        batches: list of `pathlib.Path`, the files of the batches of that execution.
    """

    def __init__(self, message, epoch, step, losses, batches=()):
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.losses = losses
        self.batches = list(batches)


def broken_losses(logs):
    """The losses among logs that are NaN or infinite.

    Args:
        logs: dict from name to number, as Keras gives it to callbacks.

    Returns:
        Dict from name to float, of the entries called `loss` or `..._loss`.
    """
    losses = {k: float(v) for k, v in logs.items() if k == "loss" or k.endswith("_loss")}
    return {k: v for k, v in losses.items() if not math.isfinite(v)}


def refuse_broken_weights(model, epoch, step):
    """Keeps weights that are not finite from being saved over those that are.

    A loss is computed before its step's update, so an update that breaks the weights shows in the
    next step's loss only, and never in the last one's of an epoch.

    Args:
        model: model in training.
        epoch, step: ints from 0, the last step that was done; -1 for the last of `epoch - 1`.

    Raises:
        TrainingDiverged: naming a weight.
    """
    weights = not_finite(variable_keys(model))
    if weights:
        place = (
            f"step {step + 1} of epoch {epoch + 1}" if step >= 0 else f"the end of epoch {epoch}"
        )
        raise TrainingDiverged(
            f"Training diverged by {place}: {len(weights)} weights are not finite, as "
            f"{weights[0]}. They were not saved, and the checkpoints before are "
            "untouched. Try a lower learning rate, a longer warm-up or gradient clipping.",
            epoch,
            step,
            {},
        )


class NaNStop(keras.callbacks.Callback):
    """Raises `TrainingDiverged` out of `fit` at the step where a loss breaks.

    No callback of the epoch's end runs after it, so checkpoints on disk stay as they were.

    Args:
        describe: callable `(epoch, step) -> str` telling about the batch, such as the ids of its
            images; None for nothing.
        batch: callable `(epoch, step) -> (x, y)`, the batch itself, which is then saved and
            looked into; None for neither.
        folder: path of the folder it is saved in, as `diverged_epoch<E>_step<S>.npz`; see
            `broken_batch.replay`. Needed with `batch`.

    Example:
    ```python
    stop = NaNStop(lambda epoch, step: f"image ids {order(epoch)[step]}")
    model.fit(data, callbacks=[stop])
    ```
    """

    def __init__(self, describe=None, batch=None, folder=None):
        super().__init__()
        if (batch is None) != (folder is None):
            raise ValueError(
                "`batch` and `folder` belong together: what to save, and where. "
                f"Received: batch={batch}, folder={folder}"
            )
        self.describe = describe
        self.batch = batch
        self.folder = folder

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._done = (self.params or {}).get("first_batch", 0)

    def on_train_batch_end(self, batch, logs=None):
        # With several steps an execution, it may be any of them.
        steps, self._done = range(self._done, batch + 1), batch + 1
        broken = broken_losses(logs or {})
        if not broken:
            return
        self.model  # noqa: B018 - on JAX this brings the weights of the last step into it
        names = ", ".join(f"{name} is {value}" for name, value in broken.items())
        parts = [f"Training diverged in epoch {self._epoch + 1}, step {batch + 1}: {names}."]
        about = {"epoch": self._epoch + 1, "losses": {k: str(v) for k, v in broken.items()}}
        if self.describe is not None:
            told = {step: self.describe(self._epoch, step) for step in steps}
            parts.append(f"Batch: {'; '.join(told.values())}.")
            about["batch"] = told
        saved = []
        if self.batch is not None and is_main():
            for step in steps:
                told = {**about, "step": step + 1, "batch": about.get("batch", {}).get(step)}
                try:
                    parts += self._save(step, told, saved)
                except Exception as error:  # whatever it is, that the run diverged matters more
                    parts.append(f"The batch could not be saved: {error}")
        if self.model is not None:
            weights = not_finite(variable_keys(self.model))
            if weights:
                parts.append(f"The step left {len(weights)} weights not finite, as {weights[0]}.")
        if saved:
            parts.append(f"Saved for replay (scripts/replay_batch.py): {_listed(saved)}.")
        parts.append(
            "The checkpoints of earlier epochs are untouched. Try a lower learning rate, a longer "
            "warm-up or gradient clipping, and check the boxes of the images."
        )
        raise TrainingDiverged(" ".join(parts), self._epoch, batch, broken, saved)

    def _save(self, step, about, saved):
        """Saves a batch, adds its path to a list; returns sentences on what is in it."""
        x, y = self.batch(self._epoch, step)
        broken = not_finite(flat({"x": x, "y": y}))
        name = f"diverged_epoch{self._epoch + 1}_step{step + 1}.npz"
        saved.append(save_batch(pathlib.Path(self.folder) / name, x, y, about))
        return [f"In the batch, {key} is not finite." for key in broken]


def _listed(paths):
    return ", ".join(map(str, paths))
