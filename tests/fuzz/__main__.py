"""`python -m tests.fuzz TARGET [arguments of libFuzzer]`"""

import importlib
import sys
import tempfile
from pathlib import Path

import atheris

from tests.fuzz import TARGETS

INSTRUMENTED = [
    "detection.data.coco",
    "detection.data.coco_columns",
    "detection.data.csv_boxes",
    "detection.data.csv_rows",
    "detection.data.foreign_names",
    "detection.data.image_folder",
    "detection.data.voc",
    "detection.data.yolo",
    "detection.data.yolo_labels",
    "detection.data.yolo_yaml",
    "detection.data.checks",
    "keras_resnet.data.arrays",
    "keras_resnet.data.cifar",
    "keras_resnet.data.images",
    "keras_resnet.training.config",
    "keras_resnet.training.config_yaml",
    "keras_resnet.untrusted",
    "keras_resnet.weights.files",
    "keras_resnet.weights.keras_applications",
    "PIL",
    "zipfile",
    "defusedxml",
    "json",
    "pickletools",
    "yaml",
]


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"Name one of the targets {', '.join(TARGETS)}.")
    # Large and not what is tested; loaded before, it is not instrumented.
    importlib.import_module("keras")
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        target = importlib.import_module(f"tests.fuzz.{sys.argv[1]}")
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.SEEDS):
            Path(corpus, str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], corpus, *sys.argv[2:]], target.one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
