"""A full disk, one that cannot be written to, data that goes away: said, and survived."""

import errno
import os
import pathlib
import resource
import shutil
import sys

import keras
import numpy as np
import pytest

from keras_resnet.classification.config import ClassifierConfig
from keras_resnet.classification.train import train_classifier
from keras_resnet.data.errors import DataError
from keras_resnet.training import verified_folder
from keras_resnet.training.artifact import load_artifact, save_artifact
from keras_resnet.training.broken_batch import save_batch
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.results import CSVResults
from keras_resnet.training.tensorboard import Pictures, tensorboard_callback
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.training.write_errors import WriteError
from tests.keras_resnet.data.helpers import write_folder
from tests.keras_resnet.training.test_loop import (
    assert_same,
    build,
    rows_of,
    train,
    train_cut,
    values,
)


class Disk:
    """A disk on which one call fails: the n-th of a kind, on paths that contain a text."""

    def __init__(self, monkeypatch):
        self.kind, self.left, self.text, self.error = None, 0, "", None
        for name in ("fsync", "rename", "replace"):
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))
        monkeypatch.setattr(verified_folder, "_write", self._write_half(verified_folder._write))

    def fail(self, kind, number, text, error):
        self.kind, self.left, self.text, self.error = kind, number, text, error

    def _due(self, kind, path):
        this = kind == self.kind and self.text in str(path)
        self.left -= this
        return this and self.left == 0

    def _watched(self, name, function):
        def watched(*arguments, **options):
            if self._due(name, arguments[0]):
                raise OSError(self.error, os.strerror(self.error))
            return function(*arguments, **options)

        return watched

    def _write_half(self, write):
        def watched(path, data):
            if self._due("write", path):
                path.write_bytes(data[: len(data) // 2])
                raise OSError(self.error, os.strerror(self.error))
            write(path, data)

        return watched


def train_with_files(folder, model, **options):
    def save(path):
        save_artifact(path, {}, variable_keys(model))

    callbacks = [
        Checkpoints(folder / "weights", save, "val_x"),
        CSVResults(folder / "results.csv"),
    ]

    def evaluate(epoch):
        return {"val_x": float(epoch)}

    return train(folder, model, callbacks=callbacks, evaluate=evaluate, state_every=2, **options)


def left_in(folder):
    return [load_artifact(folder / "weights" / kind)[1] for kind in ("best", "last")]


def test_a_disk_that_is_full_again_and_again(tmp_path, monkeypatch):
    whole = build()
    expected = train_with_files(tmp_path / "whole", whole)
    folder, disk = tmp_path / "full", Disk(monkeypatch)
    # Files of a state, of best and last, the table, and the renames between them; each attempt
    # gets a little further.
    faults = [
        ("write", 8, "", errno.ENOSPC, "weights/state"),
        ("fsync", 9, "", errno.EDQUOT, "weights/state"),
        ("write", 2, ".best.", errno.ENOSPC, "weights/best"),
        ("rename", 2, "weights/state", errno.EROFS, "weights/state"),
        ("replace", 1, "results.csv", errno.ENOSPC, "results.csv"),
    ]
    for attempt, (kind, number, text, error, place) in enumerate(faults):
        disk.fail(kind, number, text, error)
        model = build()
        with pytest.raises(WriteError) as caught:
            train_with_files(folder, model, resume=attempt > 0)
        words = str(caught.value)
        assert os.strerror(error) in words and "run.resume=true" in words, words
        assert place in words.split(" could not be written")[0], (kind, words)
        assert caught.value.errno == error
        hidden = [p.name for p in folder.rglob(".*")]
        assert hidden == [], (kind, hidden)
        if (folder / "weights" / "last").exists():
            load_artifact(folder / "weights" / "last")
    disk.fail(None, 0, "", None)
    model = build()
    found = train_with_files(folder, model, resume=True)
    assert {k: v for k, v in found.items() if "time" not in k} == {
        k: v for k, v in expected.items() if "time" not in k
    }
    assert_same(values(model), values(whole))
    assert rows_of(folder) == rows_of(tmp_path / "whole")
    assert [row["epoch"] for row in rows_of(folder)] == ["1", "2", "3"]
    for mine, other in zip(left_in(folder), left_in(tmp_path / "whole")):
        assert_same(mine.values(), other.values())


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_real_limit_on_the_size_of_files(tmp_path):
    whole, cut = build(), build()
    train(tmp_path / "whole", whole)
    train_cut(tmp_path / "cut", 3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = values(whole)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
        with pytest.raises(WriteError, match=r"state could not be .*File too large.*ulimit -f"):
            train(tmp_path / "cut", build(), resume=True, state_every=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lines = []
    train(tmp_path / "cut", cut, resume=True, say=lines.append)
    assert lines == [f"continuing {tmp_path / 'cut'} after step 3 of 10"]
    assert_same(values(cut), before)


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    train_cut(tmp_path / "run", 2)
    opened, mkdir = os.open, pathlib.Path.mkdir

    def read_only(path, flags, *mode, **options):
        if flags & (os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(tmp_path)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *mode, **options)

    def no_folder(path, *arguments, **options):
        if not path.exists():
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(WriteError, match=r"run\.lock could not be .*Read-only.*disk writable"):
        train(tmp_path / "run", resume=True)
    monkeypatch.setattr(pathlib.Path, "mkdir", no_folder)
    with pytest.raises(WriteError, match=r"Permission denied.*Make the folder writable"):
        train(tmp_path / "other")
    with pytest.raises(WriteError, match=r"board could not be .*train\.tensorboard=false"):
        tensorboard_callback(tmp_path / "board")
    monkeypatch.undo()
    train(tmp_path / "run", resume=True)


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path):
    precious, folder = tmp_path / "precious", tmp_path / "run"
    precious.write_text("precious")
    folder.mkdir()
    for name in (".config.yaml.tmp", ".batch.npz.tmp"):
        (folder / name).symlink_to(precious)
    verified_folder.write_file(folder / "config.yaml", b"a: 1")
    save_batch(folder / "batch.npz", {"a": np.zeros(2)}, {}, {})
    assert precious.read_text() == "precious"
    assert sorted(p.name for p in folder.iterdir()) == ["batch.npz", "config.yaml"]
    assert not any(p.is_symlink() for p in folder.iterdir())


@pytest.mark.parametrize("name", ["config.yaml", "problems.json"])
def test_a_run_that_cannot_be_begun(tmp_path, monkeypatch, name):
    root, disk = tmp_path / "pets", Disk(monkeypatch)
    for split in ("train", "val"):
        write_folder(root / split, {"cat": 2}, size=(9, 9))
    disk.fail("write", 1, name, errno.ENOSPC)
    with pytest.raises(WriteError, match=r"No space left on device.*Make room"):
        train_classifier(folder_config(root, tmp_path / "runs", False), lambda line: None)
    assert not list((tmp_path / "runs").rglob(f"*{name}*"))


def test_a_batch_that_does_not_fit_leaves_nothing_behind(tmp_path, monkeypatch):
    Disk(monkeypatch).fail("write", 1, "batch.npz", errno.ENOSPC)
    with pytest.raises(WriteError, match=r"batch\.npz could not be written: No space"):
        save_batch(tmp_path / "batch.npz", {"a": np.zeros(2)}, {}, {})
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_where_a_file_is(tmp_path):
    (tmp_path / "board").write_text("mine")
    with pytest.raises(WriteError, match=r"board could not be .*train\.tensorboard=false"):
        tensorboard_callback(tmp_path / "board")
    assert (tmp_path / "board").read_text() == "mine"


class LimitFiles(keras.callbacks.Callback):
    """From the second epoch on, no file may be longer than a few bytes."""

    def __init__(self):
        super().__init__()
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, self.before[1]))


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_tensorboard_on_a_disk_that_fills_up(tmp_path):
    board, _ = tensorboard_callback(tmp_path / "board")
    limit = LimitFiles()
    try:
        with pytest.raises(WriteError, match=r"board could not be .*TensorFlow's \w+Error.*board="):
            train(tmp_path / "run", callbacks=[limit, board])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit.before)
    # The callback comes before the state of the epoch.
    lines = []
    train(tmp_path / "run", resume=True, say=lines.append)
    assert lines == [f"continuing {tmp_path / 'run'} after step 4 of 10"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("side", [20, 200])
@pytest.mark.parametrize("room", [100, -100])
def test_a_picture_on_a_disk_that_fills_up(tmp_path, room, side):
    """Of the second picture there is room for a part, or for nothing at all.

    Of large ones TensorFlow says nothing.
    """
    tf = pytest.importorskip("tensorflow")
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype="uint8")
    pictures = Pictures(tmp_path / "board")
    pictures.add("a", picture, step=0)
    (path,) = (tmp_path / "board").iterdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, before[1]))
        with pytest.raises(WriteError, match=r"board could not be .*(full disk|too large).*board="):
            pictures.add("a", picture, step=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    # As a continued run does: what was whole can be read, and more is written.
    pictures = Pictures(tmp_path / "board")
    pictures.add("b", picture, step=2)
    pictures.add("b", picture[:9], step=3)
    pictures.close()
    found = []
    for path in (tmp_path / "board").iterdir():
        records = tf.data.TFRecordDataset(str(path)).ignore_errors()
        for event in map(tf.compat.v1.Event.FromString, records.as_numpy_iterator()):
            found += [(event.step, value.tag) for value in event.summary.value]
    assert sorted(found) == [(0, "a"), (2, "b"), (3, "b")]


def folder_config(root, project, resume):
    return ClassifierConfig.model_validate(
        {
            "model": {"name": "ResNet18", "options": {"stage_blocks": [1], "width": 4}},
            "data": {
                "format": "folder",
                "root": str(root),
                "train": "train",
                "val": "val",
                "mean": [120, 120, 120],
                "std": [60, 60, 60],
                "pipeline": {"batch_size": 2, "image_size": 8, "eval_resize": 8, "workers": 1},
            },
            "train": {"steps": 40, "schedule": "constant", "state_every": 1},
            "run": {"project": str(project), "name": "a", "resume": resume},
        }
    )


class RemoveAt(keras.callbacks.Callback):
    def __init__(self, folder, step):
        super().__init__()
        self.folder, self.left = folder, step

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            shutil.move(self.folder, f"{self.folder}.away")


def test_a_data_set_that_goes_away(tmp_path):
    root, project = tmp_path / "pets", tmp_path / "runs"
    write_folder(root / "train", {"cat": 40, "dog": 40}, size=(9, 9))
    write_folder(root / "val", {"cat": 1, "dog": 1}, size=(9, 9))
    remove = RemoveAt(root / "train", 3)
    with pytest.raises(DataError, match=r"pets/train/.* cannot be read: No such file") as caught:
        train_classifier(folder_config(root, project, False), lambda line: None, [remove])
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="no folder"):
        train_classifier(folder_config(root, project, True), lambda line: None)
    shutil.move(f"{root / 'train'}.away", root / "train")
    lines = []
    folder, _ = train_classifier(folder_config(root, project, True), lines.append)
    (line,) = [line for line in lines if line.startswith("continuing")]
    assert 2 <= int(line.split()[-3]) < 40
    assert [row["epoch"] for row in rows_of(folder)] == ["1"]
