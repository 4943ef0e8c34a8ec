"""Saves the last and the best weights of a run."""

import math
import os
import pathlib

import keras

from keras_resnet.training import strict_json
from keras_resnet.training.divergence import broken_losses

RECORD = "checkpoints.json"


class Checkpoints(keras.callbacks.Callback):
    """Calls `save` for `last` after every epoch and for `best` when a figure improves.

    The best value so far is kept beside the weights, so a continued run does not overwrite a
    better `best`. An epoch whose loss is not finite saves nothing.

    Args:
        folder: folder of the checkpoints, `runs/<name>/weights`.
        save: callable that gets the path `folder/last` or `folder/best`.
        monitor: name of the log to compare. Epochs without it (no evaluation) change no `best`.
        mode: `"max"` or `"min"`.
        save_state: callable `(path, epoch)` for `folder/state`, to resume from; `epoch` is the
            number of epochs done. None for no state.
        resume: whether this continues a run, whose best value still counts. A new run
            starts its own.

    Raises:
        ValueError: unknown `mode`.

    Example:
    ```python
    Checkpoints("runs/a/weights", save=lambda path: save_artifact(path, about, variables),
                monitor="metrics/mAP50-95",
                save_state=lambda path, epoch: save_training_state(path, model, {"epoch": epoch}))
    ```
    """

    def __init__(self, folder, save, monitor, mode="max", save_state=None, resume=False):
        super().__init__()
        if mode not in ("max", "min"):
            raise ValueError(f"`mode` must be 'max' or 'min'. Received: mode={mode!r}")
        self.folder = pathlib.Path(folder)
        self.save = save
        self.monitor = monitor
        self.mode = mode
        self.resume = resume
        self.save_state = save_state
        self.best = None
        self.best_epoch = None

    def on_train_begin(self, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        record = self.folder / RECORD
        if not self.resume or not record.is_file():
            return
        found = strict_json.loads(record.read_bytes(), str(record))
        if (found["monitor"], found["mode"]) == (self.monitor, self.mode):
            self.best, self.best_epoch = found["best"], found["epoch"]

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if broken_losses({k: v for k, v in logs.items() if not k.startswith("val_")}):
            return
        value = logs.get(self.monitor)
        if value is not None and self._improves(float(value)):
            self.save(self.folder / "best")
            self.best, self.best_epoch = float(value), epoch + 1
            self._write_record()
        self.save(self.folder / "last")
        if self.save_state is not None:
            self.save_state(self.folder / "state", epoch + 1)

    def _improves(self, value):
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        return value > self.best if self.mode == "max" else value < self.best

    def _write_record(self):
        record = {
            "monitor": self.monitor,
            "mode": self.mode,
            "best": self.best,
            "epoch": self.best_epoch,
        }
        new = self.folder / f".{RECORD}.tmp"
        with new.open("wb") as stream:
            stream.write(strict_json.dumps(record))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, self.folder / RECORD)
