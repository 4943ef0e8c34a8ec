"""Every command of the documentation: known here and, by `-m slow`, run as it stands.

Run as they stand, but for options that make them short: those are added at the end, where they
override. Data sets, photographs and runs are made up under the names of the documentation.
"""

import re

import pytest

from tests.documentation.blocks import PAGES, commands
from tests.documentation.workspace import TINY, make_workspace, run

_TINY = f"--set {' '.join(TINY)}"
_SMALL = "data.pipeline.min_sides=[64] data.pipeline.max_side=96 data.pipeline.batch_size=2"
_DETECTOR = f"{_TINY} train.epochs=null {_SMALL}"
_CLASSIFIER = (
    "--set train.epochs=null train.steps=2 data.pipeline.batch_size=4 train.warmup_length=0 "
    "train.evaluate_every=1"
)

# What a command begins with, and what is added to it.
SHORTER = {
    r"(KERAS_BACKEND=jax )?python scripts/train_detector\.py( quickstart)?( --set|$)": _TINY,
    r"python scripts/train_detector\.py (coco_r18_fpn_scratch|bccd) --set data\.": _DETECTOR,
    r"python scripts/train_detector\.py finetune_custom --set": (
        f"{_DETECTOR} train.start_from=null"
    ),
    r"keras-resnet train-detector bccd --set": _DETECTOR,
    r"keras-resnet predict runs/": "",
    r"python scripts/train_detector\.py bccd --data ": "--epochs 1 --batch 2 --imgsz 96",
    r"python scripts/train_detector\.py bccd --set data=": "epochs=1 batch=2 imgsz=96",
    r"python scripts/evaluate_detector\.py ": "",
    r"python scripts/predict\.py ": "",
    # An untrained detector has nearly equal scores, whose order 16 bits change.
    r"python scripts/export_saved_model\.py runs/.* --dtype bfloat16": "--tolerance 0.99",
    r"python scripts/export_saved_model\.py runs/(?!.* --dtype bfloat16)": "",
    r"python scripts/check_data\.py( bccd --set| finetune_custom --set|$)": "",
    r"python scripts/convert_data\.py ": "",
    r"python scripts/train_classifier\.py cifar10_resnet20 --set": (
        f"{_CLASSIFIER} train.boundaries=[1]"
    ),
    r"python scripts/train_classifier\.py finetune --set": f"{_CLASSIFIER} model.weights=null",
    r"python scripts/evaluate_classifier\.py ": "",
    r"python scripts/classify\.py ": "",
    r"python scripts/benchmark\.py (--quick|--suite cpu)": "--quick --only keras_resnet",
    r"python scripts/benchmark\.py --suite torchvision": "--quick --only 'batch 1, 224, float32'",
    r"python scripts/benchmark\.py --suite growth": "--quick --only 'side 256'",
    r"python scripts/benchmark\.py --suite recipes": "--quick --only 'r18_fpn_scratch: detection'",
    r"python scripts/benchmark\.py --suite gpu": "--quick --only product",
    r"python scripts/ablate_detector\.py --set": _TINY,
    r"python scripts/reproduce_cifar10\.py --data cifar10_sub": "--depths 20 --seeds 0 --steps 4",
    r"python scripts/reproduce_cifar10\.py --data cifar-10": (
        "--depths 20 --seeds 0 --steps 4 --name paper"
    ),
    r"python -m tests\.security\.read_hostile_files ": "",
}
NOT_RUN = {
    r"python -m venv |\. \.venv|pip install ": "installs; tests/test_wheel.py does",
    r"(KERAS_BACKEND=jax )?python -m pytest": "this is what runs",
    r"pip-audit ": "asks the network",
    r"python scripts/export_saved_model\.py hf://": "asks the network",
    r"KERAS_BACKEND=jax python scripts/train_classifier\.py \S+ --set train\.devices=all": (
        "two machines; tests/keras_resnet/training/test_processes.py has two processes"
    ),
    r"(export KERAS_DISTRIBUTION|srun )": "SLURM",
    r"python scripts/serving_client\.py |docker run -p|echo ": (
        "asks a server; tests/test_serving_client.py has one"
    ),
    r"docker run --rm|systemd-run ": "sandboxes",
    r"ruff ": "a step of its own where the tests run",
}
ALL = [(page, command) for page in PAGES for command in commands(page)]


def _row(table, command):
    return [pattern for pattern in table if re.match(pattern, command)]


@pytest.mark.parametrize(("page", "command"), ALL, ids=lambda text: str(text)[:60])
def test_command_is_known(page, command):
    assert len(_row(SHORTER, command) + _row(NOT_RUN, command)) == 1


def test_no_row_is_left_over():
    for pattern in (*SHORTER, *NOT_RUN):
        assert any(re.match(pattern, command) for _, command in ALL), pattern


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with data, a detector and a classifier under the names of the documentation."""
    folder = tmp_path_factory.mktemp("documentation")
    make_workspace(folder)
    for command in (
        f"python scripts/train_detector.py quickstart --quiet {_TINY}",
        f"python scripts/train_detector.py bccd --quiet {_DETECTOR}",
        f"python scripts/train_classifier.py finetune --quiet {_CLASSIFIER} data.root=my_images "
        "model.name=ResNet18 model.weights=null",
        "python scripts/export_saved_model.py runs/quickstart served/shapes",
    ):
        done = run(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    list(dict.fromkeys(command for _, command in ALL if _row(SHORTER, command))),
    ids=lambda text: text[:90],
)
def test_command_runs(workspace, command):
    (pattern,) = _row(SHORTER, command)
    done = run(f"{command} {SHORTER[pattern]}", workspace)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr
