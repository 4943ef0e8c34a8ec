"""The two latest states of a run on disk, and the place in the run that they stand for."""

import math
import os
import pathlib
import shutil

from keras_resnet.training.divergence import refuse_broken_weights
from keras_resnet.training.drift import refuse_drift
from keras_resnet.training.processes import gather, is_main
from keras_resnet.training.run import check_run_name, new_run_folder
from keras_resnet.training.training_state import (
    read_extra,
    restore_training_state,
    save_training_state,
)
from keras_resnet.training.verified_folder import CorruptedError, holds_folder, sync_folder
from keras_resnet.training.write_errors import writing

STATE, PREVIOUS, NEXT = "state", "previous", "next"


def holds_state(folder):
    """Whether a run can be continued from a folder.

    Args:
        folder: folder of the checkpoints, `runs/<name>/weights`.

    Returns:
        bool.
    """
    return any(holds_folder(pathlib.Path(folder) / name) for name in (NEXT, STATE, PREVIOUS))


def check_identity(folder, identity):
    """Refuses to continue a run as another one, before anything is built or written.

    Args:
        folder: folder of the checkpoints, `runs/<name>/weights`.
        identity: dict given to `fit`.

    Raises:
        ValueError: there is no state, or it is one of a run that differs; the message names the
            fields.
        CorruptedError: all states are damaged.
    """
    folders = _folders(folder)
    for place, state in enumerate(folders):
        try:
            extra = read_extra(state)
        except CorruptedError:
            if place == len(folders) - 1:
                raise
        else:
            refuse_drift(extra["identity"], identity, pathlib.Path(folder).parent)
            return


def run_folder(run, identity):
    """The folder of a run: a new one, or that of the run to continue.

    Args:
        run: configuration with `project`, `name` and `resume`.
        identity: dict given to `fit`.

    Returns:
        `pathlib.Path`; where `resumes` it holds a state of this very run.

    Raises:
        ValueError: there is nothing to continue, another run, or a run whose states are gone.
    """
    folder = pathlib.Path(run.project) / run.name
    if not run.resume:
        return new_run_folder(run.project, run.name)
    if not resumes(run, folder):
        _refuse_lost_states(folder)
        # It died before its first state was on disk, or has not begun.
        return new_run_folder(run.project, run.name, exist_ok=True)
    check_identity(folder / "weights", identity)
    return folder


def check_run(run):
    """Refuses what `run_folder` would refuse without looking at the data.

    Args:
        run: configuration with `project`, `name` and `resume`.

    Raises:
        ValueError: no run folder can be made there, or there is nothing to continue.
    """
    check_run_name(run.project, run.name)
    folder = pathlib.Path(run.project) / run.name
    if resumes(run, folder):
        _folders(folder / "weights")


def _refuse_lost_states(folder):
    """A state is saved with each epoch: a run that is further and has none has lost it."""
    rows = folder / "results.csv"
    epochs = rows.read_text("utf-8", errors="replace").count("\n") - 1 if rows.is_file() else 0
    if epochs > 1 or (folder / "metrics.json").is_file():
        raise ValueError(
            f"{folder} holds a run that cannot be continued, since its states are gone, and is not "
            "overwritten: give the new run another name (run.name), or move the folder away. "
            f"Received: resume='auto', {epochs} epochs in results.csv"
        )


def resumes(run, folder):
    """Whether a run is to be continued, which with `run.resume` "auto" the disk decides.

    Args:
        run: configuration with `resume`.
        folder: path of the run folder.

    Returns:
        bool.
    """
    if run.resume == "auto":
        return holds_state(pathlib.Path(folder) / "weights")
    return run.resume


def _folders(folder):
    """The states in a folder, the latest first."""
    folder = pathlib.Path(folder)
    states = [folder / name for name in (NEXT, STATE, PREVIOUS)]
    # One that has lost its manifest is there, and damaged.
    found = [state for state in states if state.is_dir() or holds_folder(state)]
    if not found:
        raise ValueError(
            f"There is nothing to continue: {folder / STATE} does not exist. Start the run "
            "without resuming, or check its name and folder."
        )
    return found


class RunState:
    """Saves and restores everything that the rest of a run depends on.

    `folder/state` is the latest state and `folder/previous` the one before it. A process that
    dies while it writes leaves both readable; if the latest one is damaged, the other is used.

    Args:
        folder: folder of the checkpoints, `runs/<name>/weights`.
        model: compiled `keras.Model`.
        callbacks: list of `keras.callbacks.Callback`; the states of those that have
            `get_run_state()` and `set_run_state(dict)` are kept, and the variables of those that
            have `run_variables()` (a dict from name to `keras.Variable`).
        identity: dict that must be the same when the run is continued.
        say: callable that prints a line.

    Attributes:
        epoch, batch: ints from 0, the next step.
        done: int, steps done.
        logs: dict, figures of the last epoch that ended.
        metrics: list of arrays, the accumulators of the metrics in mid-epoch, or None.
    """

    def __init__(self, folder, model, callbacks, identity, say):
        self.folder = pathlib.Path(folder)
        self.model = model
        self.callbacks = callbacks
        self.identity = identity
        self.say = say
        self.epoch = self.batch = self.done = 0
        self.logs = {}
        self.metrics = None

    def save(self, model, metrics=None):
        """Writes the state of a step; position and logs are the attributes.

        Of several processes that train together, only the first writes.

        Args:
            model: the model, as `Callback.model` gives it.
            metrics: list of variables, the accumulators of the running epoch, or None.

        Raises:
            TrainingDiverged: a weight is not finite; nothing was written.
        """
        refuse_broken_weights(model, self.epoch, self.batch - 1)
        if not is_main():
            return
        extra = {
            "epoch": self.epoch,
            "batch": self.batch,
            "done": self.done,
            # JSON has no NaN.
            "logs": {k: v if math.isfinite(v) else str(float(v)) for k, v in self.logs.items()},
            "identity": self.identity,
            "callbacks": {n: c.get_run_state() for n, c in self._named("get_run_state")},
        }
        arrays = {f"metrics/{i:05d}": v for i, v in enumerate(metrics or ())}
        for name, callback in self._named("run_variables"):
            arrays |= {f"{name}/{key}": v for key, v in callback.run_variables().items()}
        new, state, previous = (self.folder / name for name in (NEXT, STATE, PREVIOUS))
        with writing(state):
            save_training_state(new, model, extra, arrays)
            # Whatever rename is the last one before a crash, two complete states are left.
            if holds_folder(state):
                shutil.rmtree(previous, ignore_errors=True)
                os.rename(state, previous)
            os.rename(new, state)
            sync_folder(self.folder)

    def restore(self):
        """Puts model, optimizer and callbacks into the latest state that is whole.

        Raises:
            ValueError: there is no state, or it is one of another run.
            CorruptedError: all states are damaged.
        """
        folders = _folders(self.folder)
        for place, folder in enumerate(folders):
            try:
                extra, arrays = restore_training_state(folder, self.model, check=self._check)
                break
            except CorruptedError as error:
                if place == len(folders) - 1:
                    raise
                self.say(f"{error} Continuing from the state before it.")
        if len(set(gather(place))) > 1:
            raise ValueError(
                f"The processes of this run see different states in {self.folder}. It must be on "
                "storage that all of them share."
            )
        if is_main():
            # So that the next save does not push out the whole one for a damaged one.
            for leftover in (*folders[:place], *self.folder.glob(".*.tmp")):
                shutil.rmtree(leftover, ignore_errors=True)
        self.epoch, self.batch, self.done = extra["epoch"], extra["batch"], extra["done"]
        self.logs = {k: float(v) if isinstance(v, str) else v for k, v in extra["logs"].items()}
        self.metrics = [arrays[key] for key in sorted(arrays) if key.startswith("metrics/")]
        for name, callback in self._named("set_run_state"):
            if name in extra["callbacks"]:
                callback.set_run_state(extra["callbacks"][name])
        for name, callback in self._named("run_variables"):
            variables = {f"{name}/{key}": v for key, v in callback.run_variables().items()}
            if variables.keys() - arrays.keys():
                raise ValueError(
                    f"The run in {self.folder.parent} was made without {name}; continue it "
                    "without it, or start a new run."
                )
            for key, variable in variables.items():
                variable.assign(arrays[key])

    def _check(self, extra):
        refuse_drift(extra["identity"], self.identity, self.folder.parent)

    def _named(self, method):
        """Callbacks that have a method, under names that do not change between processes."""
        counts = {}
        for callback in self.callbacks:
            kind = type(callback).__name__
            counts[kind] = counts.get(kind, 0) + 1
            if hasattr(callback, method):
                yield (kind if counts[kind] == 1 else f"{kind}_{counts[kind]}"), callback
