"""What somebody has who installed the wheel: packages, files beside them, and the commands."""

import importlib.metadata
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
COMMANDS = {path.stem.replace("_", "-") for path in SCRIPTS.glob("[!_]*.py")}


def console(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, SCRIPTS / "_console.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_help_lists_each_script_with_one_line():
    done = console("--help")
    assert done.returncode == 0
    listed = dict(re.findall(r"^  ([a-z0-9-]+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert set(listed) == COMMANDS >= {"train-detector", "benchmark", "predict"}
    for name, line in listed.items():
        text = (SCRIPTS / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
        assert text.startswith(f'"""{line}')


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_each_command_is_about_the_command(name, tmp_path):
    done = console(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: keras-resnet {name} ")
    assert "python scripts/" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_command():
    done = console("train-detectr", "x")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: There is no command 'train-detectr'.")
    assert "Did you mean 'train-detector'?" in done.stderr
    assert "Received: ['train-detectr', 'x']" in done.stderr
    done = console()
    assert done.returncode == 2 and "commands:" in done.stderr


def test_version_and_names_of_files():
    version = importlib.metadata.version("keras-resnet-detection")
    assert console("--version").stdout == f"keras-resnet {version}\n"
    assert console("train_detector.py", "--help").stdout.startswith("usage: keras-resnet train-")


def test_exit_code_and_messages_are_those_of_the_script(tmp_path):
    done = console("predict", tmp_path / "nothing", tmp_path / "a.jpg")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "a.jpg" in done.stderr


def test_setup_names_all_folders_with_code(monkeypatch):
    found = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("setuptools.setup", found.update)
    runpy.run_path("setup.py")
    assert found["package_dir"] == {"keras_resnet_scripts": "scripts"}
    folders = {
        p.replace("keras_resnet_scripts", "scripts").replace(".", "/") for p in found["packages"]
    }
    sources = [
        p for top in ("keras_resnet", "detection", "scripts") for p in (ROOT / top).rglob("*.py")
    ]
    assert {str(path.parent.relative_to(ROOT)) for path in sources} <= folders
    assert not any("__pycache__" in folder for folder in folders)
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"keras-resnet": "keras_resnet_scripts._console:main"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built of a copy of what belongs to it."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("keras_resnet", "detection", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", built, source]
    # Its own requirements are downloaded only if what is installed here is older.
    required, present = 77, importlib.metadata.version("setuptools")
    if int(present.partition(".")[0]) >= required:
        command.insert(4, "--no-build-isolation")
    subprocess.run(command, check=True)
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The `bin` folder of an environment with the wheel and what it requires, but no checkout."""
    import keras

    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", wheel], check=True)
    packages = next((folder / "lib").glob("python*/site-packages"))
    # The requirements as they are installed here. Files .pth there, such as that of a checkout
    # installed with `pip install -e`, are not followed.
    outer = Path(keras.__file__).parents[1]
    (packages / "requirements.pth").write_text(f"{outer}\n", encoding="utf-8")
    return folder / "bin"


@pytest.mark.slow
def test_wheel_has_all_files(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for top, inside in (
        ("keras_resnet",) * 2,
        ("detection",) * 2,
        ("scripts", "keras_resnet_scripts"),
    ):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and path.suffix not in (".pyc", ".md"):
                assert f"{inside}/{path.relative_to(ROOT / top).as_posix()}" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "keras_resnet", "detection", "keras_resnet_scripts",
    }  # fmt: skip


@pytest.mark.slow
def test_quickstart_of_the_wheel(installed, tmp_path):
    def run(*command):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    where = "import detection, keras_resnet; print(detection.__file__, keras_resnet.__file__)"
    for path in run(installed / "python", "-c", where).split():
        assert Path(path).is_relative_to(installed.parent)
    command = installed / "keras-resnet"
    assert "train-detector" in run(command, "--help")
    run(
        command,
        "train-detector",
        "--set",
        "train.steps=2",
        "data.shapes={num_train: 16, num_val: 4}",
    )
    picture = sorted((tmp_path / "datasets/shapes/val").rglob("*.jpg"))[0]
    out = run(command, "predict", "runs/quickstart", picture, "--score", "0")
    assert picture.name in out
    found = json.loads((tmp_path / "predictions" / "detections.json").read_text())
    assert list(found) == [str(picture)]
    assert (tmp_path / "runs/quickstart/report.html").is_file()
