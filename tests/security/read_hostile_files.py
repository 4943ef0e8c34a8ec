"""Reads hostile files one after the other in one process, and says what each cost.

    python -m tests.security.read_hostile_files FOLDER

prints one line of JSON for each: error, seconds of processor time, growth of memory in MiB.
"""

import contextlib
import json
import resource
import sys
import time
from pathlib import Path

import keras

import detection
import keras_resnet
from detection.pretrained import load_torchvision
from keras_resnet.classification.model import load_classifier
from keras_resnet.weights.convert import convert
from tests.security.hostile_files import network, write_all

SPARE_BYTES = 8 * 2**30  # Not the bound of the test: what a failure may take of this machine.


def readers(folder):
    model = network()
    return {
        "detector": detection.load,
        "classifier": load_classifier,
        "keras": lambda path: detection.load(path, trust=True),
        "weights": lambda path: keras_resnet.load_weights(model, path),
        "convert": lambda path: convert(path, f"{folder}/converted.weights.h5"),
        "torchvision": load_torchvision,
    }


def start_of_peak():
    """Lets Linux forget the peak of memory so far; returns it, MiB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak():
    """The greatest resident memory since `start_of_peak`, MiB; elsewhere since the beginning."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(folder):
    files = write_all(folder)
    keras.utils.clear_session()
    read = readers(folder)
    # Whatever is made once is made before the first is measured.
    for warm in (f"{folder}/detector", f"{folder}/detector.keras"):
        detection.load(warm, trust=True)
    load_classifier(f"{folder}/classifier")
    read["weights"](f"{folder}/network.weights.h5")
    with open("/proc/self/statm", encoding="ascii") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, used + SPARE_BYTES))
    for name, reader, path in files:
        before, start = start_of_peak(), time.process_time()
        try:
            read[reader](path)
            error, message = None, "was loaded"
        except BaseException as caught:
            error, message = caught, str(caught)
        print(
            json.dumps(
                {
                    "name": name,
                    "is_value_error": isinstance(error, ValueError),
                    "error": type(error).__name__,
                    "message": message[:300],
                    "seconds": round(time.process_time() - start, 3),
                    "mebibytes": round(peak() - before, 1),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1])
