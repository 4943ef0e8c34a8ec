"""One tiny training run that the tests of its results share."""

import contextlib
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.detection.coco_folder import tiny_settings, write_coco

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run_script(name, *arguments, **environment):
    """Runs a script of the repository in a process of its own."""
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def in_process(monkeypatch, capsys):
    """Runs a script here, without the seconds that TensorFlow's start costs.

    Returns exit code, stdout and stderr.
    """

    def run(name, *arguments):
        monkeypatch.syspath_prepend(SCRIPTS)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        except SystemExit as error:
            code = error.code or 0
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A run of `scripts/train_detector.py` on 16 images.

    It has the paths `folder` (of the run), `config` (YAML), `train`, `val` (data sets) and the
    text `output`. Several workers of pytest-xdist share one run. Tests must not change it.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    root = root / "tiny_run"
    project, output = root / "runs", root / "output.txt"
    with _first(root) as first:
        if first:
            train = write_coco(root / "train", 16)
            val = write_coco(root / "val", 5, seed=1, first_id=201)
            settings = tiny_settings(train, val, project)
            (root / "tiny.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
            done = run_script("train_detector.py", root / "tiny.yaml", "--set", "train.seed=5")
            output.write_text(f"{done.returncode}\n{done.stdout}\n{done.stderr}", encoding="utf-8")
    code, _, text = output.read_text(encoding="utf-8").partition("\n")
    assert code == "0", text
    return SimpleNamespace(
        folder=project / "tiny",
        config=root / "tiny.yaml",
        train=root / "train",
        val=root / "val",
        output=text,
    )


@contextlib.contextmanager
def _first(root):
    """Yields True in the process that comes first; the others wait until it is done."""
    done = root / "done"
    try:
        root.mkdir()
    except FileExistsError:
        while not done.exists():
            time.sleep(0.1)
        yield False
        return
    try:
        yield True
    finally:
        done.touch()
