"""The batch at which a run diverges is named, kept, and can be computed again."""

import io
import zipfile

import keras
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from keras_resnet.classification.config import ClassifierConfig
from keras_resnet.classification.train import train_classifier
from keras_resnet.training.broken_batch import load_batch, replay, save_batch
from keras_resnet.training.divergence import NaNStop, TrainingDiverged
from keras_resnet.training.loss_scale import LossScaleWatch
from keras_resnet.training.optimizer import SGD
from keras_resnet.training.run_state import holds_state
from tests.test_scripts_classifier import call


def model_of(rate=0.1, policy="float32", **options):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "relu", name="first")])
        model.add(keras.layers.Dense(1, name="second", dtype="float32"))
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(SGD(rate), "mse", **options)
    return model


X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


def diverge(tmp_path, x, y, model=None, **options):
    def batch(epoch, step):
        rows = slice(4 * step, 4 * step + 4)
        return x[rows], {"target": y[rows], "nested": {"row": np.arange(16)[rows]}}

    def describe(epoch, step):
        return f"image ids {list(range(4 * step, 4 * step + 4))}"

    with pytest.raises(TrainingDiverged) as caught:
        (model or model_of()).fit(
            x,
            y,
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[NaNStop(describe, batch, tmp_path)],
            **options,
        )
    return caught.value


def test_inputs_that_are_not_finite_are_named_and_saved(tmp_path):
    y = Y.copy()
    y[9] = np.inf
    error = diverge(tmp_path, X, y)
    text = str(error)
    assert text.startswith("Training diverged in epoch 1, step 3: loss is ")
    assert "Batch: image ids [8, 9, 10, 11]." in text
    assert "In the batch, y/target is not finite." in text and "x is not finite" not in text
    assert "The step left 4 weights not finite, as first/kernel." in text
    assert error.batches == [tmp_path / "diverged_epoch1_step3.npz"]
    x, found, about = load_batch(error.batches[0])
    np.testing.assert_array_equal(x, X[8:12])
    np.testing.assert_array_equal(found["target"], y[8:12])
    np.testing.assert_array_equal(found["nested"]["row"], [8, 9, 10, 11])
    assert (about["epoch"], about["step"]) == (1, 3)
    assert about["batch"] == "image ids [8, 9, 10, 11]"
    with zipfile.ZipFile(error.batches[0]) as file:
        for name in file.namelist():
            header = np.lib.format.read_array(io.BytesIO(file.read(name)), allow_pickle=False)
            assert header.dtype.kind != "O"


def test_every_batch_of_an_execution_is_saved(tmp_path):
    y = Y.copy()
    y[4] = np.nan
    error = diverge(tmp_path, X, y, model_of(steps_per_execution=2))
    assert [path.name for path in error.batches] == [
        "diverged_epoch1_step1.npz",
        "diverged_epoch1_step2.npz",
    ]
    assert "Batch: image ids [0, 1, 2, 3]; image ids [4, 5, 6, 7]." in str(error)


def test_a_batch_that_cannot_be_read_again_hides_nothing(tmp_path):
    def gone(epoch, step):
        raise OSError("No such file: picture.png")

    callbacks = [NaNStop(None, gone, tmp_path)]
    with pytest.raises(TrainingDiverged, match=r"step 1: loss is nan\. .*picture\.png") as caught:
        model_of().fit(X, Y * np.nan, batch_size=4, verbose=0, callbacks=callbacks)
    assert caught.value.batches == [] and list(tmp_path.iterdir()) == []


def test_replay_names_the_layer(tmp_path):
    path = save_batch(tmp_path / "a.npz", X[:4], Y[:4], {"step": 1})
    model = model_of()
    predicted = model.predict(X[:4], verbose=0)
    found = replay(model, path)
    assert found["losses"] == {"loss": pytest.approx(float(np.mean((predicted - Y[:4]) ** 2)))}
    assert (found["layer"], found["inputs"], found["weights"]) == (None, [], [])
    model.layers[1].bias.assign([np.inf])
    found = replay(model, path)
    assert found["layer"] == "second" and found["weights"] == ["second/bias"]
    assert not np.isfinite(found["losses"]["loss"]) and found["about"] == {"step": 1}
    np.testing.assert_array_equal(model.predict(X[:4], verbose=0), np.full((4, 1), np.inf))
    bad = save_batch(tmp_path / "b.npz", np.full((4, 3), np.nan, "float32"), Y[:4], {})
    assert replay(model_of(), bad)["inputs"] == ["x"]
    assert replay(model_of(), bad)["layer"] == "first"


def test_a_file_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=X)
    with pytest.raises(ValueError, match=r"a\.npz is no batch saved by a run"):
        load_batch(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", about=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="pickle"):
        load_batch(tmp_path / "b.npz")
    with pytest.raises(ValueError, match="belong together"):
        NaNStop(batch=lambda epoch, step: (X, Y))


def classifier_config(tmp_path, **overrides):
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "test"):
        arrays[f"x_{split}"] = rng.integers(0, 256, (12, 8, 8, 3)).astype("uint8")
        arrays[f"y_{split}"] = np.arange(12) % 3
    np.savez(tmp_path / "images.npz", **arrays)
    config = ClassifierConfig.model_validate(
        {
            "model": {"name": "ResNet18", "options": {"stage_blocks": [1], "width": 4}},
            "data": {
                "format": "npz",
                "root": str(tmp_path / "images.npz"),
                "train": "train",
                "val": "test",
                "mean": [0, 0, 0],
                "std": [255, 255, 255],
                "pipeline": {
                    "batch_size": 4,
                    "image_size": 8,
                    "crop": "none",
                    "horizontal_flip": 0.0,
                },
            },
            "train": {"steps": 9, "schedule": "constant", **overrides},
            "run": {"project": str(tmp_path / "runs"), "name": "a"},
        }
    )
    return config, arrays


class BreakWeights(keras.callbacks.Callback):
    """Makes a weight infinite before a step, as a bad update would."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            kernel = self.model.trainable_variables[-2]
            kernel.assign(np.full(kernel.shape, np.inf))


def finite(folder):
    files = sorted(folder.rglob("*.safetensors"))
    assert files
    return all(np.isfinite(a).all() for file in files for a in load_file(file).values())


@pytest.mark.parametrize("step", [3, 4])
def test_broken_weights_are_never_saved(tmp_path, step):
    """An epoch has three steps; the loss of each is computed before its update breaks a weight."""
    config, _ = classifier_config(tmp_path, state_every=1)
    with pytest.raises(TrainingDiverged, match=r"Training diverged by .* not finite"):
        train_classifier(config, lambda line: None, [BreakWeights(step)])
    folder = tmp_path / "runs" / "a" / "weights"
    assert holds_state(folder) and finite(folder)
    assert (folder / "last").exists() == (step == 4)


def test_a_classifier_keeps_pixels_names_and_the_last_good_checkpoint(tmp_path, capsys):
    config, arrays = classifier_config(tmp_path)
    with pytest.raises(TrainingDiverged) as caught:
        train_classifier(config, lambda line: None, [BreakWeights(4)])
    folder = tmp_path / "runs" / "a"
    path = folder / "diverged_epoch2_step2.npz"
    assert caught.value.batches == [path] and str(path) in str(caught.value)
    x, y, about = load_batch(path)
    rows = [int(name.split("[")[1].rstrip("]")) for name in about["batch"].split(", ")]
    np.testing.assert_array_equal(x, arrays["x_train"][rows])
    np.testing.assert_array_equal(y, arrays["y_train"][rows])
    assert f"{about['batch']}" in str(caught.value) and len(rows) == 4
    assert holds_state(folder / "weights")
    capsys.readouterr()
    (folder / "config.yaml").write_text(
        yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8"
    )
    assert call("replay_batch.py", folder) == 0
    out = capsys.readouterr().out
    assert "diverged_epoch2_step2.npz: epoch 2, step 2" in out
    assert "in the run   loss nan" in out or "in the run   loss inf" in out
    # Those of the first epoch were whole.
    assert "first layer whose output is not finite: none" in out
    again = float(out.split("again        loss ")[1].split()[0])
    assert np.isfinite(again)


def test_collapse_of_the_loss_scale_is_said_and_ends_the_run(tmp_path):
    lines = []
    model = model_of(policy="mixed_float16")
    # Finite losses whose gradients overflow at any scale.
    with pytest.raises(TrainingDiverged, match="loss scale of float16 has collapsed") as caught:
        model.fit(
            X,
            Y * 1e15,
            batch_size=4,
            epochs=20,
            verbose=0,
            callbacks=[LossScaleWatch(lines.append)],
        )
    assert len(lines) == 1
    assert "collapsed to 1 at epoch 4, step 3: the gradients of at least 15 steps" in lines[0]
    assert "train.precision=mixed_bfloat16" in lines[0]
    # 15 steps from 2 ** 15 to 1, then 21 more.
    assert (caught.value.epoch, caught.value.step) == (8, 3)
    assert "at least 36 steps" in str(caught.value)


def test_a_healthy_loss_scale_is_not_mentioned():
    lines = []
    callbacks = [LossScaleWatch(lines.append)]
    for policy in ("mixed_float16", "float32"):
        model_of(policy=policy).fit(X, Y, batch_size=4, verbose=0, callbacks=callbacks)
    assert lines == []
