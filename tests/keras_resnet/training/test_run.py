"""Run folders are never shared or overwritten."""

import threading
import types

import pytest

from keras_resnet.training.locks import run_lock
from keras_resnet.training.run import new_run_folder, removed_if_empty
from keras_resnet.training.run_state import resumes, run_folder
from tests.keras_resnet.training.test_loop import train


def test_numbers_follow(tmp_path):
    root = tmp_path / "a" / "runs"
    (root / "x2").mkdir(parents=True)
    names = [new_run_folder(root, "x").name for _ in range(3)]
    assert names == ["x", "x3", "x4"]
    assert sorted(p.name for p in root.iterdir()) == ["x", "x2", "x3", "x4"]


def test_a_file_of_that_name_is_left_alone(tmp_path):
    (tmp_path / "x").write_text("mine")
    assert new_run_folder(tmp_path, "x", exist_ok=True).name == "x2"
    assert (tmp_path / "x").read_text() == "mine"


def test_exist_ok_returns_the_same_folder(tmp_path):
    first = new_run_folder(tmp_path, "x")
    (first / "results.csv").write_text("1")
    assert new_run_folder(tmp_path, "x", exist_ok=True) == first
    assert (first / "results.csv").read_text() == "1"


def test_simultaneous_runs_get_different_folders(tmp_path):
    found, barrier = [], threading.Barrier(8)

    def make():
        barrier.wait()
        found.append(new_run_folder(tmp_path, "x"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(found)) == 8


@pytest.mark.parametrize("name", ["", "..", "a/b", "/abs", ".hidden", "a b"])
def test_names_that_are_no_folder_name(tmp_path, name):
    with pytest.raises(ValueError, match="Received: name="):
        new_run_folder(tmp_path, name)


def test_one_command_begins_a_run_and_continues_it(tmp_path):
    run = types.SimpleNamespace(project=tmp_path, name="a", resume="auto")
    for _ in range(2):  # the second time it is there, but has no state
        assert run_folder(run, {"x": 1}) == tmp_path / "a"
        assert resumes(run, tmp_path / "a") is False
    train(tmp_path / "a", steps=1, identity={"x": 1})
    assert run_folder(run, {"x": 1}) == tmp_path / "a"
    assert resumes(run, tmp_path / "a") is True
    with pytest.raises(ValueError, match=r"Different: x was 1, is 2"):
        run_folder(run, {"x": 2})
    run.resume = False
    assert run_folder(run, {"x": 1}) == tmp_path / "a2"
    assert resumes(run, tmp_path / "a") is False


@pytest.mark.parametrize(
    "lost", ["states of a run of several epochs", "states of a run that ended"]
)
def test_a_run_that_has_lost_its_states_is_not_begun_again(tmp_path, lost):
    run = types.SimpleNamespace(project=tmp_path, name="a", resume="auto")
    folder = tmp_path / "a"
    folder.mkdir()
    if "several" in lost:
        (folder / "results.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    else:
        (folder / "metrics.json").write_text("{}")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(ValueError, match="its states are gone, and is not overwritten"):
        run_folder(run, {"x": 1})
    assert sorted(path.name for path in folder.iterdir()) == before
    # Killed between the first row and the first state: nothing is lost but what was never saved.
    (folder / before[0]).unlink()
    (folder / "results.csv").write_text("epoch,loss\n1,0.5\n")
    assert run_folder(run, {"x": 1}) == folder


def fail(folder, writes=()):
    with pytest.raises(KeyError), run_lock(folder), removed_if_empty(folder):
        for name in writes:
            (folder / name).write_text("x")
        raise KeyError


def test_a_run_that_fails_before_it_writes_leaves_no_folder(tmp_path):
    for _ in range(2):
        folder = new_run_folder(tmp_path, "x")
        assert folder.name == "x"
        fail(folder)
    assert not list(tmp_path.iterdir())


def test_what_a_failed_run_wrote_stays(tmp_path):
    fail(new_run_folder(tmp_path, "x"), ["config.yaml"])
    assert (tmp_path / "x" / "config.yaml").is_file()
    with run_lock(tmp_path / "y"), removed_if_empty(tmp_path / "y"):
        pass
    assert (tmp_path / "y").is_dir()
