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
import stat

from keras_resnet.training import strict_json
from keras_resnet.untrusted.errors import UntrustedFileError

FORMAT = "keras_resnet verified folder"
MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 2**20


class CorruptedError(UntrustedFileError):
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
            _write(new / name, data)
        sync_folder(new)
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            os.rename(folder, previous)
        os.rename(new, folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if previous.exists() and not folder.exists():
            os.rename(previous, folder)
        raise
    shutil.rmtree(previous, ignore_errors=True)
    return folder


def write_file(path, data):
    """Writes a file, replacing an earlier one only once the new one is complete.

    Args:
        path: `pathlib.Path` in a folder that exists.
        data: bytes.
    """
    new = path.with_name(f".{path.name}.tmp")
    new.unlink(missing_ok=True)  # of a writer that died
    try:
        _write(new, data)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


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
    found = VerifiedFolder(folder)
    return {name: found.read(name) for name in names}


class VerifiedFolder:
    """A folder of `write_folder` of which the manifest is read, and nothing else yet.

    Args:
        folder: path given to `write_folder`.

    Attributes:
        path: `pathlib.Path` of the folder that is read.
        names: names of the files that the manifest lists.

    Raises:
        FileNotFoundError: no such folder.
        CorruptedError: there is no manifest in it, or none of this library.
    """

    def __init__(self, folder):
        folder = pathlib.Path(os.path.abspath(folder))
        if not folder.exists() and _previous(folder).exists():
            # The writer stopped between its two renames: the earlier content is the valid one.
            folder = _previous(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no folder {str(folder)!r}.")
        self.path = folder
        self._listed = _read_manifest(folder)

    @property
    def names(self):
        return frozenset(self._listed)

    @contextlib.contextmanager
    def open(self, name):
        """Opens a file, of which not the content but the length is checked.

        Args:
            name: one of `names`.

        Yields:
            `(stream, size)`: binary stream, and the file's length in bytes.

        Raises:
            CorruptedError: the file is missing, cut short, no plain file or not listed.
        """
        if name not in self._listed:
            raise CorruptedError(f"{self.path / MANIFEST} does not list {name}.")
        path = self.path / name
        if path.is_symlink():
            raise CorruptedError(
                f"{path} is a link, which this library never writes. Copy the folder with its "
                "files (`cp -rL`)."
            )
        if not path.is_file():
            raise CorruptedError(f"{path} is missing. Restore the whole folder from a copy.")
        try:
            with path.open("rb") as stream:
                about = os.fstat(stream.fileno())
                size, expected = about.st_size, self._listed[name]["bytes"]
                if not stat.S_ISREG(about.st_mode) or size != expected:
                    raise CorruptedError(
                        f"{path} has {size} bytes instead of {expected}: it was cut short or "
                        "replaced. Restore the whole folder from a copy."
                    )
                yield stream, size
        except OSError as error:  # a disk that does not give it, also while it is read
            raise CorruptedError(f"{path} cannot be read: {error.strerror}.") from None

    def read(self, name, max_bytes=None):
        """Reads a file and checks its hash.

        Args:
            name: one of `names`.
            max_bytes: int, the greatest length that such a file has; None for any.

        Returns:
            bytes.

        Raises:
            CorruptedError: the file is missing, cut short, changed, too large or not listed.
        """
        with self.open(name) as (stream, size):
            if max_bytes is not None and size > max_bytes:
                raise CorruptedError(
                    f"{self.path / name} has {size} bytes, more than the {max_bytes} of any such "
                    "file."
                )
            data = stream.read(size)
        self._check(name, hashlib.sha256(data))
        return data

    def verify(self, name):
        """Checks the hash of a file without keeping its content.

        Args:
            name: one of `names`.

        Raises:
            CorruptedError: as `read`.
        """
        with self.open(name) as (stream, _):
            self._check(name, hashlib.file_digest(stream, "sha256"))

    def _check(self, name, digest):
        if digest.hexdigest() != self._listed[name]["sha256"]:
            raise CorruptedError(
                f"{self.path / name} does not match its SHA-256 in {MANIFEST}: it was changed or "
                "damaged. Restore the whole folder from a copy."
            )


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
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_MANIFEST_BYTES)
    except OSError as error:
        raise CorruptedError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        manifest = strict_json.loads(data, str(path))
        if manifest["format"] != FORMAT or manifest["version"] != 1:
            raise ValueError("another format or version")
        listed = manifest["files"]
        for name, entry in listed.items():
            if type(entry["bytes"]) is not int or not isinstance(entry["sha256"], str):
                raise ValueError("wrong types")
            if name in ("", ".", "..") or any(mark in name for mark in "/\\:\0"):
                raise ValueError(f"{name!r} is not the name of a file inside the folder")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptedError(f"{path} is not a manifest of this library: {error}") from None
    return listed


def _previous(folder):
    return folder.with_name(f".{folder.name}.previous")


def _write(path, data):
    # A link that came with somebody's folder is not followed: the file must be new.
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(folder):
    """Has the disk keep which files are in a folder, and their names.

    Args:
        folder: path.
    """
    # Windows cannot open folders.
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
