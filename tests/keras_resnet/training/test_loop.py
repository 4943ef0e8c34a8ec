"""The training loop: what a continued run sees, refuses and leaves behind."""

import csv
import io
import math
import re
import shutil

import keras
import numpy as np
import pytest

from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.drift import changed_fields
from keras_resnet.training.ema import EMA
from keras_resnet.training.loop import fit
from keras_resnet.training.optimizer import SGD
from keras_resnet.training.progress import ProgressLogger
from keras_resnet.training.results import CSVResults
from keras_resnet.training.run_state import check_identity, holds_state
from keras_resnet.training.schedules import WarmupCosine
from keras_resnet.training.variable_keys import variable_keys

PER_EPOCH = 4
RNG = np.random.default_rng(7)
X = RNG.normal(size=(PER_EPOCH * 6, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]])).astype("float32")


class Batches(keras.utils.PyDataset):
    steps_per_epoch = PER_EPOCH
    num_batches = None

    def __init__(self, epoch=0, batch=0):
        super().__init__()
        self.start = epoch * PER_EPOCH + batch

    def __getitem__(self, index):
        epoch, batch = divmod(self.start + index, PER_EPOCH)
        rows = np.random.default_rng(epoch).permutation(len(X))[batch * 6 :][:6]
        return X[rows], Y[rows]


def build(optimizer=None, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh")])
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(1))
    model.compile(optimizer or SGD(0.05), "mse", metrics=["mae"], **options)
    return model


def train(folder, model=None, steps=10, say=lambda line: None, **options):
    return fit(model or build(), Batches, steps=steps, folder=folder, say=say, **options)


def values(model):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


class Stop(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    """Raises out of `fit` when a number of steps are done."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Stop


def train_cut(folder, at, callbacks=(), **options):
    """Trains until a step, whose state is on disk; what follows must be continued."""
    with pytest.raises(Stop):
        train(folder, callbacks=[*callbacks, StopAt(at + 1)], state_every=1, **options)


def rows_of(path):
    with (path / "results.csv").open(newline="") as stream:
        return [{k: v for k, v in row.items() if "time" not in k} for row in csv.DictReader(stream)]


def test_equals_one_plain_fit(tmp_path):
    model, plain = build(), build()
    logs = train(tmp_path, model, steps=3 * PER_EPOCH, state_every=1)
    history = plain.fit(
        Batches(), epochs=3, steps_per_epoch=PER_EPOCH, shuffle=False, verbose=0
    ).history
    assert_same(values(model), values(plain))
    assert logs["loss"] == history["loss"][-1] and logs["mae"] == history["mae"][-1]


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen, self.begun, self.ended = [], 0, 0

    def on_train_begin(self, logs=None):
        self.begun += 1

    def on_train_end(self, logs=None):
        self.ended += 1

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append((self.epoch, batch))

    def on_train_batch_end(self, batch, logs=None):
        self.seen[-1] = (*self.seen[-1], batch, round(logs["loss"], 6))


def test_callbacks_see_one_run_with_batches_of_whole_epochs(tmp_path):
    whole, cut = Recorder(), Recorder()
    schedule = WarmupCosine(0.1, 10, warmup_steps=2)
    lines = io.StringIO()
    train(
        tmp_path / "whole",
        build(SGD(schedule)),
        callbacks=[whole, CSVResults(tmp_path / "whole" / "results.csv")],
    )
    results = CSVResults(tmp_path / "cut" / "results.csv")
    train_cut(tmp_path / "cut", 6, [results], model=build(SGD(schedule)))
    progress = ProgressLogger(images_per_step=6, every_seconds=0, stream=lines)
    results = CSVResults(tmp_path / "cut" / "results.csv")
    train(
        tmp_path / "cut",
        build(SGD(schedule)),
        resume=True,
        callbacks=[cut, results, progress],
    )
    # Running means of the losses too, which go on from the six steps before.
    assert [s[:3] for s in whole.seen] == [(i // 4, i % 4, i % 4) for i in range(10)]
    assert cut.seen == whole.seen[6:]
    assert (cut.begun, cut.ended) == (1, 1)
    assert rows_of(tmp_path / "cut") == rows_of(tmp_path / "whole")
    steps = re.findall(r"epoch (\d)/3 step (\d/\d) .*?lr ([\d.e-]+)", lines.getvalue(), re.S)
    # The last epoch has two steps.
    assert [s[:2] for s in steps] == [("2", "3/4"), ("2", "4/4"), ("3", "1/2"), ("3", "2/2")]
    expected = [0.1 * 0.5 * (1 + np.cos(np.pi * (step - 2) / 8)) for step in (6, 7, 8, 9)]
    np.testing.assert_allclose([float(rate) for _, _, rate in steps], expected, rtol=5e-3)


def damage(folder, name="weights.safetensors"):
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_state_gives_way_to_the_one_before_it(tmp_path):
    whole = build()
    train(tmp_path / "whole", whole)
    train_cut(tmp_path / "cut", 6)
    weights = tmp_path / "cut" / "weights"
    shutil.copytree(tmp_path / "cut", tmp_path / "other")
    damage(weights / "state")
    lines, model = [], build()
    train(tmp_path / "cut", model, resume=True, say=lines.append)
    assert "does not match its SHA-256" in lines[0] and str(weights / "state") in lines[0]
    assert lines[1] == f"continuing {tmp_path / 'cut'} after step 5 of 10"
    assert_same(values(model), values(whole))
    assert holds_state(weights) and (weights / "previous" / "state.json").is_file()
    other = tmp_path / "other" / "weights"
    damage(other / "state", "optimizer.safetensors")
    damage(other / "previous", "state.json")
    with pytest.raises(ValueError, match=r"previous/state\.json does not match"):
        train(tmp_path / "other", resume=True)


def test_another_run_is_refused(tmp_path):
    about = {"train": {"rate": 0.1, "steps": [1, 2]}, "class_names": ["a", "b"]}
    train_cut(tmp_path, 2, identity=about)
    now = {"train": {"rate": 0.2, "steps": (1, 2)}, "class_names": ["a", "c"]}
    model = build()
    before = values(model)
    with pytest.raises(
        ValueError, match=r"Different: class_names was .*; train\.rate was 0\.1, is"
    ):
        train(tmp_path, model, resume=True, identity=now)
    assert_same(values(model), before)
    with pytest.raises(ValueError, match=r"Different: class_names"):
        check_identity(tmp_path / "weights", now)
    check_identity(tmp_path / "weights", about)


def test_changed_fields():
    before = {"a": 1, "b": {"c": True, "d": (1, 2)}, "gone": None}
    now = {"a": 1.0, "b": {"c": 1, "d": [1, 2]}, "new": {}}
    assert changed_fields(before, now) == ["b.c", "gone", "new"]


def test_nothing_to_continue(tmp_path):
    for attempt in (lambda: train(tmp_path, resume=True), lambda: check_identity(tmp_path, {})):
        with pytest.raises(ValueError, match="nothing to continue"):
            attempt()


def test_a_finished_run_trains_no_more(tmp_path):
    first, again = build(), build()
    logs = train(tmp_path, first, evaluate=lambda epoch: {"val_x": epoch})
    assert logs["val_x"] == 2
    assert train(tmp_path, again, resume=True, evaluate=None) == logs
    assert_same(values(first), values(again))


def test_averages_are_those_of_numpy(tmp_path):
    model = build()
    keys = variable_keys(model)
    names = [key for key, v in keys.items() if "float" in str(v.dtype)]
    expected = {key: np.array(keys[key], "float64") for key in names}
    start = {key: value.copy() for key, value in expected.items()}
    ema = EMA(decay=0.7, every=3)

    class Follow(keras.callbacks.Callback):
        done = 0

        def on_train_batch_end(self, batch, logs=None):
            self.done += 1
            if self.done % 3 == 0:
                now = variable_keys(self.model)
                for key in names:
                    expected[key] = 0.7 * expected[key] + 0.3 * np.array(now[key], "float64")

    train(tmp_path, model, callbacks=[ema, Follow()])
    assert any("moving_mean" in key for key in names)
    after = values(model)
    for key, average in ema.run_variables().items():
        np.testing.assert_allclose(np.array(average), expected[key], rtol=1e-5, atol=1e-6)
        assert np.abs(expected[key] - start[key]).max() > 1e-3, key
    with ema.applied():
        for key, variable in variable_keys(model).items():
            np.testing.assert_array_equal(np.array(variable), ema.run_variables()[key])
        model.evaluate(X, Y, verbose=0)
    assert_same(values(model), after)


def test_averages_are_evaluated_and_saved(tmp_path):
    model = build()
    kernel = model.layers[-1].kernel
    evaluated, saved = [], []
    ema = EMA(decay=0.5)
    checkpoints = Checkpoints(tmp_path, lambda path: saved.append(np.array(kernel)), "val_x")

    def evaluate(epoch):
        evaluated.append(np.array(kernel))
        return {"val_x": 1.0}

    train(tmp_path, model, steps=4, callbacks=[checkpoints, ema], evaluate=evaluate)
    average = np.array(ema.run_variables()["dense_1/kernel"])
    assert np.abs(average - np.array(kernel)).max() > 1e-4
    assert_same([average] * 3, evaluated + saved)
    with pytest.raises(ValueError, match="Received: decay=1"):
        EMA(decay=1)


def test_evaluation_leaves_no_trace(tmp_path):
    def noisy():
        model = build()
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), model])
        model.compile(SGD(0.05), "mse")
        return model

    plain, evaluated = noisy(), noisy()
    train(tmp_path / "a", plain)

    def evaluate(epoch):
        # Draws random numbers, as an evaluation with dropout would.
        evaluated(X, training=None)
        evaluated.layers[0](X, training=True)
        return evaluated.evaluate(X, Y, verbose=0, return_dict=True)

    train(tmp_path / "b", evaluated, evaluate=evaluate)
    assert_same(values(plain), values(evaluated))


def test_a_step_is_a_batch_under_gradient_accumulation(tmp_path):
    rates = (0.1, 0.2, 0.3, 0.4)

    class Rising(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 * (keras.ops.cast(step, "float32") + 1)

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(SGD(Rising(), momentum=0.0, gradient_accumulation_steps=2), "mse")
    weights = np.array(model.layers[0].kernel, "float64")
    train(tmp_path, model, steps=4, state_every=1)
    batches = Batches()
    for first in (0, 2):
        pair = [batches[first], batches[first + 1]]
        gradient = np.mean([2 * x.T @ (x @ weights - y) / len(x) for x, y in pair], axis=0)
        # The rate of the batch that completes the pair.
        weights -= rates[first + 1] * gradient
    np.testing.assert_allclose(np.array(model.layers[0].kernel), weights, rtol=1e-4)


def test_a_run_cut_within_an_accumulation_goes_on(tmp_path):
    def accumulating():
        return build(SGD(0.05, gradient_accumulation_steps=3))

    whole, cut = accumulating(), accumulating()
    train(tmp_path / "whole", whole)
    train_cut(tmp_path / "cut", 5, model=accumulating())
    train(tmp_path / "cut", cut, resume=True)
    assert_same(values(whole), values(cut))


def test_several_steps_an_execution(tmp_path):
    whole, cut = build(), build(steps_per_execution=2)
    ema, recorder = EMA(0.5, every=4), Recorder()
    train(tmp_path / "whole", whole)
    with pytest.raises(Stop):
        callbacks = [EMA(0.5, every=4), StopAt(4)]
        model = build(steps_per_execution=2)
        train(tmp_path / "cut", model, callbacks=callbacks, state_every=1)
    with pytest.raises(ValueError, match="made without EMA_2"):
        callbacks = [EMA(0.5), EMA(0.9)]
        train(tmp_path / "cut", build(steps_per_execution=2), resume=True, callbacks=callbacks)
    train(tmp_path / "cut", cut, resume=True, callbacks=[ema, recorder])
    assert_same(values(whole), values(cut))
    assert [seen[:3] for seen in recorder.seen] == [(1, 2, 3), (2, 0, 1)]
    with pytest.raises(ValueError, match="steps_per_execution=3, steps_per_epoch=4"):
        train(tmp_path, build(steps_per_execution=3))


def test_transient_layers_are_in_no_state(tmp_path):
    class Table(keras.layers.Layer):
        _keras_resnet_transient = True

        def __init__(self):
            super().__init__()
            options = {"trainable": False, "dtype": "uint8"}
            self.table = self.add_weight(shape=(9, 9), initializer="ones", **options)
            self.built = True

        def call(self, inputs):
            return inputs * keras.ops.cast(self.table[0, 0], inputs.dtype)

    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(Table()(inputs)))
    model.compile(SGD(0.05), "mse")
    assert list(variable_keys(model)) == ["dense/kernel", "dense/bias"]
    train(tmp_path, model)
    assert sum(p.stat().st_size for p in (tmp_path / "weights" / "state").iterdir()) < 5000


@pytest.mark.parametrize("done", [True, False])
def test_figures_that_are_no_numbers_are_kept(tmp_path, done):
    """An average precision without a single object is none, and so is a loss that overflows."""
    found = {"val_AP": float("nan"), "val_loss": float("inf"), "val_least": float("-inf")}
    steps = 2 * PER_EPOCH
    whole = train(tmp_path / "whole", steps=steps, evaluate=lambda epoch: found)
    assert np.isnan(whole["val_AP"]) and whole["val_loss"] == np.inf
    if done:
        again = train(tmp_path / "whole", steps=steps, resume=True)
    else:
        train_cut(tmp_path / "cut", PER_EPOCH, steps=steps, evaluate=lambda epoch: found)
        callback = Checkpoints(tmp_path / "cut" / "weights", lambda path: None, "val_AP")
        again = train(tmp_path / "cut", steps=steps, resume=True, callbacks=[callback])
        # It was continued within the second epoch, and evaluated nothing.
        assert set(again) == set(whole) - set(found)
        return
    assert list(again) == list(whole)
    np.testing.assert_equal(again, whole)
    assert [math.isfinite(again[name]) for name in found] == [False] * 3
