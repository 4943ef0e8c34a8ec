"""Saves the last and the best weights of a run."""

import contextlib
import math
import pathlib

import keras

from keras_resnet.training import strict_json
from keras_resnet.training.divergence import broken_losses, refuse_broken_weights
from keras_resnet.training.processes import is_main
from keras_resnet.training.verified_folder import write_file
from keras_resnet.training.write_errors import writing

RECORD = "checkpoints.json"


class Checkpoints(keras.callbacks.Callback):
    """Calls `save` for `last` after every epoch and for `best` when a figure improves.

    The best value so far belongs to the state of a run, so a run that `loop.fit` continues does
    not overwrite a better `best`; it is also written beside the weights, for people. Under an
    `EMA` that is to be saved, what is saved is the average. An epoch whose loss is not finite
    saves nothing. Of several processes that train together, only the first saves.

    Args:
        folder: folder of the checkpoints, `runs/<name>/weights`.
        save: callable that gets the path `folder/last` or `folder/best`.
        monitor: name of the log to compare. Epochs without it (no evaluation) change no `best`.
        mode: `"max"` or `"min"`.
        ema: the `EMA` whose average is saved, or None for the weights. `loop.fit` sets it.

    Raises:
        ValueError: unknown `mode`.

    Example:
    ```python
    Checkpoints("runs/a/weights", save=lambda path: save_artifact(path, about, variables),
                monitor="metrics/mAP50-95")
    ```
    """

    def __init__(self, folder, save, monitor, mode="max", ema=None):
        super().__init__()
        if mode not in ("max", "min"):
            raise ValueError(f"`mode` must be 'max' or 'min'. Received: mode={mode!r}")
        self.folder = pathlib.Path(folder)
        self.save = save
        self.monitor = monitor
        self.mode = mode
        self.ema = ema
        self.best = None
        self.best_epoch = None

    def on_train_begin(self, logs=None):
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def get_run_state(self):
        """What belongs to the state of a run."""
        return {
            "monitor": self.monitor,
            "mode": self.mode,
            "best": self.best,
            "epoch": self.best_epoch,
        }

    def set_run_state(self, state):
        """Takes over what `get_run_state` gave, if it is about the same figure."""
        if (state["monitor"], state["mode"]) == (self.monitor, self.mode):
            self.best, self.best_epoch = state["best"], state["epoch"]

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if broken_losses({k: v for k, v in logs.items() if not k.startswith("val_")}):
            return
        if self.model is not None:
            refuse_broken_weights(self.model, epoch + 1, -1)  # all steps of this epoch are done
        value = logs.get(self.monitor)
        best = value is not None and self._improves(float(value))
        with self.ema.applied() if self.ema is not None else contextlib.nullcontext():
            if best:
                self.best, self.best_epoch = float(value), epoch + 1
            if not is_main():
                return
            if best:
                with writing(self.folder / "best"):
                    self.save(self.folder / "best")
                with writing(self.folder / RECORD):
                    write_file(self.folder / RECORD, strict_json.dumps(self.get_run_state()))
            with writing(self.folder / "last"):
                self.save(self.folder / "last")

    def _improves(self, value):
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        return value > self.best if self.mode == "max" else value < self.best
