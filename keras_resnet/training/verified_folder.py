"""A folder of files that is complete or absent, and knows the hash of each file.

Writing goes to a hidden folder beside the target, which takes the target's place by renaming once
everything is on disk. Reading checks every file against `manifest.json`.
"""

import contextlib
import hashlib
import os
import pathlib
import secrets
import shutil

from keras_resnet.training import strict_json

FORMAT = "keras_resnet verified folder"
MANIFEST = "manifest.json"


class CorruptedError(ValueError):
    """A stored file is missing, cut short or changed."""


def write_folder(folder, files):
    """Writes a folder of files, replacing an earlier one only once the new one is complete.

    A crash at any moment leaves the earlier or the new content readable by `read_folder`.

    Args:
        folder: path. If it exists it must be a folder written by this function.
        files: dict from file name to bytes.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: `folder` exists and holds something else.
    """
    folder = pathlib.Path(os.path.abspath(folder))
    previous = _previous(folder)
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise ValueError(
            f"{folder} exists and was not written by this library; it is left alone. Choose "
            f"another path. Received: folder={str(folder)!r}"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": FORMAT,
        "version": 1,
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.tmp")
    new.mkdir()
    try:
        for name, data in {**files, MANIFEST: strict_json.dumps(manifest)}.items():
            with (new / name).open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        _sync_folder(new)
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            os.rename(folder, previous)
        os.rename(new, folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if previous.exists() and not folder.exists():
            os.rename(previous, folder)
        raise
    shutil.rmtree(previous, ignore_errors=True)
    return folder


def read_folder(folder, names):
    """Reads the named files of a folder and checks each against the manifest.

    Args:
        folder: path given to `write_folder`.
        names: names of the files expected there.

    Returns:
        Dict from name to bytes.

    Raises:
        FileNotFoundError: no such folder.
        CorruptedError: a file is missing, cut short or changed, or the manifest does not list it.
    """
    folder = pathlib.Path(os.path.abspath(folder))
    if not folder.exists() and _previous(folder).exists():
        # The writer stopped between its two renames: the earlier content is the valid one.
        folder = _previous(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}.")
    listed = _read_manifest(folder)
    found = {}
    for name in names:
        if name not in listed:
            raise CorruptedError(f"{folder / MANIFEST} does not list {name}.")
        path = folder / name
        if not path.is_file():
            raise CorruptedError(f"{path} is missing. Restore the whole folder from a copy.")
        size, expected = path.stat().st_size, listed[name]["bytes"]
        if size != expected:
            raise CorruptedError(
                f"{path} has {size} bytes instead of {expected}: it was cut short or replaced. "
                "Restore the whole folder from a copy."
            )
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != listed[name]["sha256"]:
            raise CorruptedError(
                f"{path} does not match its SHA-256 in {MANIFEST}: it was changed or damaged. "
                "Restore the whole folder from a copy."
            )
        found[name] = data
    return found


def holds_folder(folder):
    """Whether `read_folder` would find something there, also after a crash of the writer.

    Args:
        folder: path given to `write_folder`.

    Returns:
        bool.
    """
    folder = pathlib.Path(os.path.abspath(folder))
    return any((f / MANIFEST).is_file() for f in (folder, _previous(folder)))


def _read_manifest(folder):
    path = folder / MANIFEST
    if not path.is_file():
        raise CorruptedError(f"{path} is missing: this is no artefact of this library.")
    with path.open("rb") as stream:
        data = stream.read(2**20)
    try:
        manifest = strict_json.loads(data, str(path))
        if manifest["format"] != FORMAT or manifest["version"] != 1:
            raise ValueError("another format or version")
        listed = manifest["files"]
        for entry in listed.values():
            if type(entry["bytes"]) is not int or not isinstance(entry["sha256"], str):
                raise ValueError("wrong types")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptedError(f"{path} is not a manifest of this library: {error}") from None
    return listed


def _previous(folder):
    return folder.with_name(f".{folder.name}.previous")


def _sync_folder(folder):
    # Windows cannot open folders.
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
