"""Saved models: what goes in comes out, and nothing damaged does."""

import hashlib
import json
import os

import keras
import numpy as np
import pytest
import safetensors.numpy

from keras_resnet.training import verified_folder
from keras_resnet.training.artifact import assign, load_artifact, save_artifact, unpack
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.training.verified_folder import CorruptedError

DESCRIPTION = {"categories": [{"id": 7, "name": "Katze ü"}], "mean": [0.5, 1e-7], "top": None}


def net(seed, units=4, dtype=None):
    inputs = keras.Input((3,))
    initializer = keras.initializers.RandomNormal(seed=seed)
    x = keras.layers.Dense(units, kernel_initializer=initializer, dtype=dtype)(inputs)
    x = keras.layers.BatchNormalization(dtype=dtype)(x)
    x = keras.layers.Dropout(0.5, seed=seed, dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.Dense(2, dtype=dtype)(x))


def values(model):
    return {k: keras.ops.convert_to_numpy(v) for k, v in variable_keys(model).items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


@pytest.fixture
def saved(tmp_path):
    model = net(1)
    model(np.ones((2, 3), "float32"), training=True)
    save_artifact(tmp_path / "best", DESCRIPTION, variable_keys(model))
    return tmp_path / "best", model


def test_round_trip(saved):
    folder, model = saved
    description, arrays = load_artifact(folder)
    assert description == DESCRIPTION
    other = net(2)
    assign(variable_keys(other), arrays)
    assert_same(values(other), values(model))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_array_equal(model(x), other(x))
    # The seed generator too: the same units are dropped next.
    np.testing.assert_array_equal(model(x, training=True), other(x, training=True))


def test_files_are_plain_formats(saved):
    """Read with other people's tools."""
    folder, model = saved
    assert sorted(os.listdir(folder)) == ["manifest.json", "model.json", "weights.safetensors"]
    assert json.loads((folder / "model.json").read_text("utf-8")) == DESCRIPTION
    assert_same(safetensors.numpy.load_file(folder / "weights.safetensors"), values(model))
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    for name in ("model.json", "weights.safetensors"):
        data = (folder / name).read_bytes()
        assert listed[name] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_bfloat16_weights(tmp_path):
    model = net(1, dtype="bfloat16")
    save_artifact(tmp_path / "a", {}, variable_keys(model))
    _, arrays = load_artifact(tmp_path / "a")
    assert str(arrays["dense/kernel"].dtype) == "bfloat16"
    assert_same(arrays, values(model))


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_one_flipped_bit_is_detected(saved, name):
    folder, _ = saved
    data = bytearray((folder / name).read_bytes())
    data[-3] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(CorruptedError, match=f"{name} does not match its SHA-256"):
        load_artifact(folder)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_truncated_and_missing_files_are_detected(saved, name):
    folder, _ = saved
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1])
    with pytest.raises(CorruptedError, match=f"{name} has {len(data) - 1} bytes instead of"):
        load_artifact(folder)
    (folder / name).unlink()
    with pytest.raises(CorruptedError, match=f"{name} is missing"):
        load_artifact(folder)


@pytest.mark.parametrize(
    "manifest", [b"", b"{", b"[]", b'{"format": 1}', b'{"version": NaN}', b"[" * 10**5]
)
def test_bad_manifest(saved, manifest):
    folder, _ = saved
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(CorruptedError, match=r"manifest\.json is not a manifest"):
        load_artifact(folder)


def test_no_folder_and_no_artifact(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        load_artifact(tmp_path / "nothing")
    with pytest.raises(CorruptedError, match=r"manifest\.json is missing"):
        load_artifact(tmp_path)


def test_all_differences_in_one_error_and_nothing_assigned(saved):
    _, arrays = load_artifact(saved[0])
    arrays["extra/kernel"] = np.zeros(1, "float32")
    del arrays["dense_1/bias"]
    arrays["dense/kernel"] = arrays["dense/kernel"][:, :3]
    arrays["batch_normalization/gamma"] = arrays["batch_normalization/gamma"].astype("float64")
    other = net(2)
    before = values(other)
    with pytest.raises(ValueError) as error:
        assign(variable_keys(other), arrays)
    assert str(error.value).splitlines()[1:] == [
        "  missing: dense_1/bias",
        "  not in the model: extra/kernel",
        "  dense/kernel: shape (3, 3) saved, (3, 4) in the model",
        "  batch_normalization/gamma: float64 saved, float32 in the model",
    ]
    assert_same(values(other), before)


def test_integers_of_another_width_only_if_they_fit():
    variable = keras.Variable(np.zeros(2, "int32"), dtype="int32", trainable=False)
    assign({"v": variable}, {"v": np.array([1, -5], "int64")})
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), [1, -5])
    with pytest.raises(ValueError, match="v: int64 saved, int32 in the model"):
        assign({"v": variable}, {"v": np.array([1, 2**40], "int64")})


@pytest.mark.parametrize(
    "description", [{"a": float("nan")}, {"a": np.zeros(1)}, {1: "a"}, [1], {"a": {1, 2}}]
)
def test_descriptions_that_json_cannot_hold(tmp_path, description):
    with pytest.raises(ValueError, match="description"):
        save_artifact(tmp_path / "a", description, variable_keys(net(1)))
    assert os.listdir(tmp_path) == []


def test_replacing_leaves_only_the_new(saved):
    folder, _ = saved
    new = net(5)
    save_artifact(folder, {"new": True}, variable_keys(new))
    description, arrays = load_artifact(folder)
    assert description == {"new": True}
    assert_same(arrays, values(new))
    assert os.listdir(folder.parent) == ["best"]


def test_a_foreign_folder_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="was not written by this library"):
        save_artifact(tmp_path / "mine", {}, variable_keys(net(1)))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("failing_call", [1, 2])
def test_failure_while_replacing_keeps_the_old(saved, monkeypatch, failing_call):
    folder, model = saved
    rename, calls = os.rename, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == failing_call:
            raise OSError("disk full")
        rename(source, target)

    monkeypatch.setattr(verified_folder.os, "rename", failing)
    with pytest.raises(OSError, match="disk full"):
        save_artifact(folder, {"new": True}, variable_keys(net(5)))
    monkeypatch.undo()
    description, arrays = load_artifact(folder)
    assert description == DESCRIPTION
    assert_same(arrays, values(model))
    assert os.listdir(folder.parent) == ["best"]


def test_power_cut_between_the_two_renames(saved):
    """The process dies after moving the old folder away: nothing cleans up behind it."""
    folder, _ = saved
    os.rename(folder, folder.with_name(".best.previous"))
    assert load_artifact(folder)[0] == DESCRIPTION
    save_artifact(folder, {"new": True}, variable_keys(net(5)))
    assert load_artifact(folder)[0] == {"new": True}


def test_every_dtype_goes_through():
    dtypes = ["bool", "int8", "uint8", "int32", "int64", "uint32", "float16", "float32", "float64"]
    arrays = {d: np.array([[1, 0, 1]], d) for d in dtypes}
    arrays["scalar"] = np.array(2.5, "float32")
    arrays["empty"] = np.zeros((0, 3), "float32")
    again = unpack(safetensors.numpy.save(arrays), "x")
    assert_same(arrays, again)
    assert all(
        again[k].dtype == arrays[k].dtype and again[k].shape == arrays[k].shape for k in arrays
    )


def test_safetensors_header_that_lies(saved):
    data = (saved[0] / "weights.safetensors").read_bytes()
    with pytest.raises(CorruptedError, match="is not a readable safetensors file"):
        unpack(data[:-8], "x")
    with pytest.raises(CorruptedError, match="is not a readable safetensors file"):
        unpack(b"\xff" * 64, "x")
