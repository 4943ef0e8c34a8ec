"""What a run that dies has left on the disk, for every moment of it, continued in one process.

A process that is killed leaves its folder as it is, so a copy made at a moment is what dying there
would leave. Continuing all copies with one model, whose variables are spoilt before each, saves the
minutes that building and compiling it anew would take.
"""

import contextlib
import hashlib
import os
import shutil

import keras
import numpy as np


class Snapshots(keras.callbacks.Callback):
    """Copies a folder at moments of a run.

    Args:
        folder: path of the run folder.
        copies: path of the folder of the copies.
        kinds: names of the moments, among `"step"`, `"step done"`, `"evaluation"`, `"fsync"`,
            `"rename"` and `"replace"`.
    """

    def __init__(self, folder, copies, kinds):
        super().__init__()
        self.folder, self.copies, self.kinds = folder, copies, kinds
        self.seen = []
        self.taken = {}
        self._last = None
        self._running = False

    def happens(self, kind):
        """Copies the folder, if it is another one than at the moment before."""
        if not self._running or kind not in self.kinds:
            return
        self.seen.append(kind)
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        content = hashlib.sha256()
        for path in files:
            content.update(str(path).encode() + b"\0" + path.read_bytes())
        if content.digest() != self._last:
            self._last = content.digest()
            self.taken[f"{len(self.seen)} {kind}"] = copy = self.copies / str(len(self.seen))
            shutil.copytree(self.folder, copy)

    def on_train_batch_begin(self, batch, logs=None):
        self._running = True
        self.happens("step")

    def on_train_batch_end(self, batch, logs=None):
        self.happens("step done")

    @contextlib.contextmanager
    def watching(self):
        """Within it, writes to the disk are moments, too."""
        calls = {name: getattr(os, name) for name in ("fsync", "rename", "replace")}

        def watched(name):
            def call(*arguments, **options):
                self.happens(name)
                return calls[name](*arguments, **options)

            return call

        for name in calls:
            setattr(os, name, watched(name))
        try:
            yield
        finally:
            self._running = False
            for name, call in calls.items():
                setattr(os, name, call)


def spoil(model):
    """Changes every variable of a model, its optimizer and its metrics."""
    for variable in {
        id(v): v for v in (*model.variables, *model.optimizer.variables, *model.metrics_variables)
    }.values():
        value = np.array(keras.ops.convert_to_numpy(variable))
        variable.assign(~value if value.dtype == bool else value + np.ones((), value.dtype))


def continued_from_every_moment(run, model, folder, kinds, part="0/1"):
    """Compares what continuing from every moment of a run leaves with what the run left.

    Args:
        run: callable `(folder, moments, resume)` that trains `model` and returns what is left;
            `moments` is a `Snapshots`, a callback.
        model: compiled model, as new.
        folder: path of a folder to work in.
        kinds: see `Snapshots`.
        part: str such as `"1/4"`, to continue from every fourth moment only, from the second on.

    Returns:
        dict with `seen`, the kinds of all moments, `continued`, how many differ on the disk and
        were continued, and `wrong`, the names of those from which the run ended otherwise.
    """
    moments = Snapshots(folder / "whole", folder / "copies", kinds)
    with moments.watching():
        whole = run(folder / "whole", moments, resume=False)
    first, every = map(int, part.split("/"))
    wrong, chosen = [], list(moments.taken.items())[first::every]
    for name, copy in chosen:
        spoil(model)
        if run(copy, Snapshots(copy, None, ()), resume=True) != whole:
            wrong.append(name)
        shutil.rmtree(copy)
    return {"seen": moments.seen, "continued": len(chosen), "wrong": wrong}
