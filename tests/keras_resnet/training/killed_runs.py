"""Runs that are killed at chosen moments and continued; a program for `test_loop_killed.py`.

`python killed_runs.py FOLDER some` prints, as JSON, what an uninterrupted run left, and what one
left that was killed three times and continued. Each part of a run is a process forked from this
one, in which neither TensorFlow nor JAX has begun to work.

`python killed_runs.py FOLDER steps` continues a run of 50 steps in one process from every step of
it, `moments` from every evaluation and write to the disk, too; see `snapshots.py`. A third argument
such as `1/4` takes a part of them.
"""

import csv
import hashlib
import json
import os
import random
import signal
import sys
import traceback
from pathlib import Path

import keras
import numpy as np

from keras_resnet.training.artifact import save_artifact
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.ema import EMA
from keras_resnet.training.loop import fit
from keras_resnet.training.optimizer import SGD
from keras_resnet.training.results import CSVResults
from keras_resnet.training.schedules import WarmupCosine
from keras_resnet.training.variable_keys import variable_keys
from tests.keras_resnet.training.snapshots import continued_from_every_moment

STEPS, STEPS_PER_EPOCH, BATCH = 13, 5, 4
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(STEPS_PER_EPOCH * BATCH, 6, 6, 2)).astype("float32")
LABELS = (IMAGES.mean((1, 2, 3)) > 0).astype("int32")


class Batches(keras.utils.PyDataset):
    """Batch `k` of epoch `e` as a function of (e, k)."""

    steps_per_epoch = STEPS_PER_EPOCH
    num_batches = None

    def __init__(self, epoch, batch):
        super().__init__()
        self.start = epoch * STEPS_PER_EPOCH + batch

    def __getitem__(self, index):
        epoch, batch = divmod(self.start + index, STEPS_PER_EPOCH)
        rows = np.random.default_rng(epoch).permutation(len(IMAGES))[batch * BATCH :][:BATCH]
        return IMAGES[rows], LABELS[rows]


def make_batches(epoch, batch):
    source = Batches(epoch, batch)
    if keras.backend.backend() != "tensorflow":
        return source
    import tensorflow as tf

    def read(index):
        images, labels = tf.numpy_function(source.__getitem__, [index], [tf.float32, tf.int32])
        return tf.ensure_shape(images, (BATCH, 6, 6, 2)), tf.ensure_shape(labels, (BATCH,))

    batches = tf.data.Dataset.range(2**40).map(read, num_parallel_calls=2).prefetch(2)
    batches.steps_per_epoch = STEPS_PER_EPOCH
    return batches


def build(steps=STEPS):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.3),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    schedule = WarmupCosine(0.1, steps, warmup_steps=3)
    model.compile(
        SGD(schedule, weight_decay=1e-3, gradient_accumulation_steps=2, use_ema=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class Killer(keras.callbacks.Callback):
    """Counts what happens in a run, and kills the process at one of the moments.

    `at` is `(kind, number)`, a moment among those of its kind, or None.
    """

    def __init__(self, at):
        super().__init__()
        self.at, self.seen = at, []
        for name in ("fsync", "rename", "replace"):
            setattr(os, name, self._watched(name, getattr(os, name)))

    def happens(self, name):
        if self.at == (name, self.seen.count(name)):
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen.append(name)

    def _watched(self, name, function):
        def watched(*arguments, **options):
            self.happens(name)
            return function(*arguments, **options)

        return watched

    def on_train_batch_begin(self, batch, logs=None):
        self.happens("step")

    def on_train_batch_end(self, batch, logs=None):
        self.happens("step done")


def run(folder, killer, resume, model=None, steps=STEPS, state_every=2):
    model = build() if model is None else model
    ema = EMA(decay=0.8, every=2)

    def evaluate(epoch):
        killer.happens("evaluation")
        # Its metrics and, on JAX, its buffers are those of training.
        found = model.evaluate(IMAGES, LABELS, batch_size=4, verbose=0, return_dict=True)
        return {f"val_{name}": value for name, value in found.items()}

    def save(path):
        save_artifact(path, {}, variable_keys(model))

    callbacks = [
        ema,
        Checkpoints(folder / "weights", save, "val_loss", "min"),
        CSVResults(folder / "results.csv"),
        killer,
    ]
    logs = fit(
        model,
        make_batches,
        steps=steps,
        folder=folder,
        callbacks=callbacks,
        evaluate=evaluate,
        state_every=state_every,
        resume=resume,
        say=lambda line: None,
    )
    values = [*model.variables, *model.optimizer.variables, *ema.run_variables().values()]
    total = hashlib.sha256()
    for value in values:
        total.update(np.array(keras.ops.convert_to_numpy(value)).tobytes())
    with (folder / "results.csv").open(newline="") as stream:
        rows = [{k: v for k, v in row.items() if "time" not in k} for row in csv.DictReader(stream)]
    best, last = ((folder / "weights" / name).rglob("*.safetensors") for name in ("best", "last"))
    left = {
        "variables": total.hexdigest(),
        "rows": rows,
        "logs": {k: v for k, v in logs.items() if "time" not in k},
        "saved": [hashlib.sha256(p.read_bytes()).hexdigest() for p in (*best, *last)],
        "temporary": [str(p) for p in folder.rglob(".*")],
    }
    return left


def process(folder, kill_at=None, resume=False):
    """Runs in a process of its own; returns the signal or code that ended it."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        try:
            killer = Killer(kill_at)
            left = run(folder, killer, resume)
            (folder / "left.json").write_text(json.dumps({"left": left, "seen": killer.seen}))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def left_in(folder):
    return json.loads((folder / "left.json").read_text())


def every(folder, kinds, part="0/1"):
    model = build(steps=50)

    def run_it(place, moments, resume):
        return run(place, moments, resume, model, steps=50, state_every=1)

    print(json.dumps(continued_from_every_moment(run_it, model, folder, kinds, part)))


def some(folder):
    assert process(folder / "whole") == 0
    seen = left_in(folder / "whole")["seen"]
    rng = random.Random(5)
    # Before the first step there is nothing to continue.
    kinds = {"step": 4, "fsync": 12, "evaluation": 2}
    plan = [(kind, rng.randrange(1, count)) for kind, count in kinds.items()]
    place = folder / "killed"
    codes = [process(place, at, resume=bool(part)) for part, at in enumerate([*plan, None])]
    left = left_in(place)["left"] if codes[-1] == 0 else None
    whole = left_in(folder / "whole")["left"]
    print(json.dumps({"seen": seen, "whole": whole, "plan": plan, "codes": codes, "left": left}))


if __name__ == "__main__":
    place, amount, *part = sys.argv[1:]
    kinds = {"steps": ("step",), "moments": ("step", "evaluation", "fsync", "rename", "replace")}
    if amount == "some":
        some(Path(place))
    else:
        every(Path(place), kinds[amount], *part)
