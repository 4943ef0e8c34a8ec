"""Whatever happens to the bytes of a checkpoint is noticed, and the one before it is used."""

import pathlib
import random
import shutil

import numpy as np
import pytest

from keras_resnet.training.artifact import load_artifact, save_artifact
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.run_state import RunState
from keras_resnet.training.training_state import read_extra
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.training.verified_folder import CorruptedError
from tests.keras_resnet.training.test_loop import assert_same, build, train, train_cut, values

FILES = ["manifest.json", "more.safetensors", "optimizer.safetensors", "state.json"]
FILES += ["weights.safetensors"]


def damaged(data, rng):
    """The bytes with one bit flipped or the end cut off, and what was done."""
    if rng.random() < 0.8:
        position, bit = rng.randrange(len(data)), rng.randrange(8)
        changed = bytearray(data)
        changed[position] ^= 1 << bit
        return bytes(changed), f"bit {bit} of byte {position}"
    length = rng.randrange(len(data))
    return data[:length], f"cut to {length} bytes"


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """A folder with the states of two steps of a run, and its model."""
    folder = tmp_path_factory.mktemp("run")
    model = build()
    train_cut(folder, 3, model=model)
    weights = folder / "weights"
    assert sorted(p.name for p in weights.iterdir()) == ["previous", "state"]
    for name, done in (("state", 3), ("previous", 2)):
        assert sorted(p.name for p in (weights / name).iterdir()) == FILES
        assert read_extra(weights / name)["done"] == done
    return weights, model


def test_a_thousand_flips_and_cuts(states, tmp_path):
    weights, model = states
    rng = random.Random(7)
    kept = shutil.copytree(weights / "state", tmp_path / "kept")
    files = {name: (kept / name).read_bytes() for name in FILES}
    lines = []
    state = RunState(weights, model, [], {}, lines.append)
    state.restore()
    assert (state.done, lines) == (3, [])
    # Each file as often as its size says, but none hardly ever.
    sizes = [max(len(data), 1000) for data in files.values()]
    for _ in range(1000):
        name = rng.choices(FILES, sizes)[0]
        data, what = damaged(files[name], rng)
        (weights / "state" / name).write_bytes(data)
        lines.clear()
        state.restore()
        assert state.done == 2 and len(lines) == 1, (name, what)
        assert f"{weights / 'state'}" in lines[0], (name, what, lines)
        assert lines[0].endswith("Continuing from the state before it.")
        assert not (weights / "state").exists()
        assert int(model.optimizer.iterations) == 2
        shutil.copytree(kept, weights / "state")
    state.restore()
    assert state.done == 3


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone(states, tmp_path, name):
    weights = shutil.copytree(states[0], tmp_path / "weights")
    (weights / "state" / name).unlink()
    lines = []
    state = RunState(weights, states[1], [], {}, lines.append)
    state.restore()
    assert state.done == 2 and str(weights / "state" / name) in lines[0]


def test_a_file_that_the_disk_does_not_give(states, tmp_path, monkeypatch):
    weights = shutil.copytree(states[0], tmp_path / "weights")
    broken, opened = weights / "state" / "optimizer.safetensors", pathlib.Path.open

    def open_file(path, *arguments, **options):
        if path == broken:
            raise OSError(5, "Input/output error")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(pathlib.Path, "open", open_file)
    lines = []
    state = RunState(weights, states[1], [], {}, lines.append)
    state.restore()
    assert state.done == 2
    assert lines[0].startswith(f"{broken} cannot be read: Input/output error.")


def test_a_copied_run_goes_on(tmp_path):
    whole, copied = build(), build()
    train(tmp_path / "whole", whole)
    train_cut(tmp_path / "first", 6)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    shutil.rmtree(tmp_path / "first")
    train(tmp_path / "second", copied, resume=True)
    assert_same(values(copied), values(whole))


def test_best_and_last_are_checked_when_they_are_loaded(tmp_path):
    model, rng = build(), random.Random(3)

    def save(path):
        save_artifact(path, {"kind": "test"}, variable_keys(model))

    train(tmp_path, model, callbacks=[Checkpoints(tmp_path / "weights", save, "loss", "min")])
    for kind in ("best", "last"):
        folder = tmp_path / "weights" / kind
        assert load_artifact(folder)[0] == {"kind": "test"}
        for _ in range(150):
            path = rng.choice(sorted(folder.iterdir()))
            data = path.read_bytes()
            changed, what = damaged(data, rng)
            path.write_bytes(changed)
            with pytest.raises(CorruptedError, match=f"{kind}/"):
                pytest.fail(f"{path.name}, {what}: {load_artifact(folder)}")
            path.write_bytes(data)
        arrays = load_artifact(folder)[1]
        assert set(arrays) == set(variable_keys(model))
        assert all(np.isfinite(value).all() for value in arrays.values())
