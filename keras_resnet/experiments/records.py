"""What is kept of each finished run: `result.json` in its folder."""

import os
from pathlib import Path

from keras_resnet.experiments.grid import Run
from keras_resnet.training import strict_json

RESULT = "result.json"


def run_of(record):
    """The `Run` that a record is of."""
    return Run(**record["run"])


def read_record(folder):
    """The record of a run.

    Args:
        folder: path of the run's folder.

    Returns:
        Dict, or None if the run is not finished.
    """
    path = Path(folder) / RESULT
    return strict_json.loads(path.read_bytes(), str(path)) if path.is_file() else None


def read_records(folder):
    """The records of all finished runs.

    Args:
        folder: path of the folder of the runs.

    Returns:
        List of dicts, by kind, depth, shortcut, remedy and seed.
    """
    found = [read_record(path.parent) for path in Path(folder).glob(f"*/{RESULT}")]
    return sorted(found, key=_order)


def write_record(folder, record):
    """Writes the record of a run, all or nothing."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / RESULT, strict_json.dumps(record, RESULT))


def write_whole(path, data):
    """Writes a file so that it never is there in part.

    Args:
        path: `pathlib.Path`.
        data: bytes or str.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    new.unlink(missing_ok=True)
    with new.open("xb") as stream:
        stream.write(data.encode() if isinstance(data, str) else data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, path)


def _order(record):
    run = run_of(record)
    kind = ("plain", "residual", "highway").index(run.kind)
    shortcut = ("zero_pad", "projection", "projection_all", None).index(run.shortcut)
    return kind, run.depth, shortcut, run.remedy or "", run.seed
