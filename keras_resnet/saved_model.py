"""The folders of TensorFlow Serving: versions that are complete and right, or not there."""

import contextlib
import json
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

import keras

_ASIDE = ".export-"
_DAY = 24 * 60 * 60.0  # after which the folder of another machine's process counts as left


def check_backend():
    """Refuses to export from another backend than TensorFlow."""
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel is written by the TensorFlow backend: run this again with the "
            "environment variable KERAS_BACKEND=tensorflow. "
            f"Received: backend {keras.config.backend()!r}"
        )


def next_folder(path, version=None):
    """The folder of a version, which does not exist.

    Args:
        path: folder of the served model.
        version: int above 0; `None` for one more than the greatest in `path`.

    Returns:
        `<path>/<version>`, a `pathlib.Path`.

    Raises:
        ValueError: `path` is a file, or the version exists or is not an int above 0.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"`path` must be a folder. Received: path={str(path)!r}, a file")
    if version is None:
        present = [int(p.name) for p in path.glob("*") if p.name.isdecimal()]
        return path / str(max(present, default=0) + 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"`version` must be an int above 0. Received: version={version!r}")
    target = path / str(version)
    if target.exists():
        raise ValueError(
            f"{target} exists and is never overwritten: give another `version`, or none for the "
            f"next free one. Received: version={version}"
        )
    return target


def publish(path, version, make, metadata_file):
    """Makes a version aside and renames it when it is complete.

    Args:
        path, version: as for `next_folder`.
        make: function that writes a SavedModel into a folder, raises if it is not right, and
            returns what its users have to know, a dict for JSON.
        metadata_file: name of the file in `assets` that gets this dict and the version.

    Returns:
        The folder `<path>/<version>`, a `pathlib.Path`.

    Raises:
        ValueError: as `next_folder`.
    """
    path = Path(path)
    next_folder(path, version)  # Refuses before any work is done.
    with aside(path) as folder:
        metadata = make(folder)
        target = next_folder(path, version)  # Another process may have taken it in the meantime.
        metadata = {"version": int(target.name), **metadata}
        assets = folder / "assets"
        assets.mkdir(exist_ok=True)
        (assets / metadata_file).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
        _sync(folder)
        os.rename(folder, target)
        _sync_folder(path)
    return target


@contextlib.contextmanager
def aside(path):
    """A hidden folder on the disk of what is to be published, for what is not complete.

    Those that killed processes left are removed.

    Args:
        path: folder, made if missing.

    Yields:
        `pathlib.Path` of an empty folder inside, removed at the end unless it was renamed.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    for left in path.glob(f"{_ASIDE}*"):
        if _is_left(left):
            shutil.rmtree(left, ignore_errors=True)
    own = f"{_ASIDE}{socket.gethostname()}-{os.getpid()}-"
    folder = Path(tempfile.mkdtemp(prefix=own, dir=path))
    try:
        folder.chmod(0o755)  # mkdtemp makes private folders.
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder):
    """Whether the process that made a folder for what is not complete has ended."""
    host, _, process = folder.name.removeprefix(_ASIDE).rpartition("-")[0].rpartition("-")
    if host == socket.gethostname() and process.isdecimal() and os.name == "posix":
        try:
            os.kill(int(process), 0)  # asks only
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's process
            return False
        return False
    try:
        return time.time() - folder.stat().st_mtime > _DAY
    except OSError:
        return False


def _sync(folder):
    """Has the disk keep all files of a folder, so that what is renamed is whole after a crash."""
    for parent, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(parent, name), "rb") as stream:
                os.fsync(stream.fileno())
        _sync_folder(parent)


def _sync_folder(folder):
    # Windows cannot open folders.
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write(folder, signatures, variables=()):
    """Writes a SavedModel.

    Args:
        folder: path.
        signatures: dict from a name to a `tf.function` with one input signature that returns a
            dict of tensors.
        variables: list of the `tf.Variable`s that they read.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = list(variables)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
