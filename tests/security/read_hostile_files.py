"""Reads hostile files one after the other in one process, and says what each cost.

    python -m tests.security.read_hostile_files FOLDER

prints one line of JSON for each: error, seconds of processor time, growth of memory in MiB. With
`--table` after the folder it prints a table instead, and ends with 1 if one of them was not refused
by a typed error in less than a second and 200 MB.
"""

import contextlib
import json
import resource
import signal
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

MAX_SECONDS, MAX_MEBIBYTES = 1, 200
# Not the bounds of the test: what a failure may take of this machine.
SPARE_BYTES, SPARE_SECONDS = 8 * 2**30, 60


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


@contextlib.contextmanager
def bounded_time():
    """Within it, an error is raised after `SPARE_SECONDS` of processor time."""

    def end(*_):
        raise TimeoutError(f"took more than {SPARE_SECONDS} s")

    signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, SPARE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def rows(folder):
    """Yields what reading each file cost."""
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
            with bounded_time():
                read[reader](path)
            error, message = None, "was loaded"
        except BaseException as caught:
            error, message = caught, str(caught)
        yield {
            "name": name,
            "is_value_error": isinstance(error, ValueError),
            "error": type(error).__name__,
            "message": message[:20_000],
            "seconds": round(time.process_time() - start, 3),
            "mebibytes": round(peak() - before, 1),
        }


def main(folder, *arguments):
    if not arguments:
        for row in rows(folder):
            print(json.dumps(row), flush=True)
        return 0
    measured = list(rows(folder))
    bad = 0
    for row in sorted(measured, key=lambda row: -row["seconds"]):
        right = (
            row["is_value_error"]
            and row["seconds"] < MAX_SECONDS
            and row["mebibytes"] < MAX_MEBIBYTES
        )
        bad += not right
        print(
            f"{row['seconds']:7.3f} s {row['mebibytes']:7.1f} MiB  "
            f"{'' if right else 'NOT WITHIN THE BOUNDS '}{row['name']} ({row['error']})"
        )
    print(
        f"{len(measured) - bad} of {len(measured)} refused by a typed error in less than "
        f"{MAX_SECONDS} s and {MAX_MEBIBYTES} MiB"
    )
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
