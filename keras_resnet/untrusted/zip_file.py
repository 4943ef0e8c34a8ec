"""Zip archives of known members, each of bounded length."""

import contextlib
import os
import stat
import struct
import zipfile
import zlib

from keras_resnet.untrusted.errors import UntrustedFileError

_END = struct.Struct("<4s4H2IH")
_ZIP64_LOCATOR_LENGTH = 20
_MAX_MEMBERS = 100
_MAX_DIRECTORY_BYTES = 2**16
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ERRORS = (OSError, KeyError, ValueError, RuntimeError, NotImplementedError, EOFError)


class Archive:
    """An open archive whose list of members was checked; made by `open_archive`."""

    def __init__(self, archive, where):
        self._archive = archive
        self._where = where

    def read(self, name, max_bytes, max_ratio=None):
        """Reads a member.

        Args:
            name: name of the member.
            max_bytes: int, refuse a longer one.
            max_ratio: refuse one that expands more than so many times; None for any.

        Returns:
            bytes.

        Raises:
            UntrustedFileError: it is not there, too long or damaged.
        """
        with _readable(self._where):
            about = self._archive.getinfo(name)
            if about.file_size > max_bytes:
                raise UntrustedFileError(
                    f"{self._where}: the member {name!r} declares {about.file_size} bytes, more "
                    f"than the {max_bytes} that it may have."
                )
            if max_ratio is not None and about.file_size > max(
                2**20, max_ratio * about.compress_size
            ):
                raise UntrustedFileError(
                    f"{self._where}: the member {name!r} expands from {about.compress_size} to "
                    f"{about.file_size} bytes, as no weights do."
                )
            with self._archive.open(about) as stream:
                # Not more than declared, whatever the compressed data says.
                data = stream.read(about.file_size + 1)
            if len(data) != about.file_size:
                raise UntrustedFileError(
                    f"{self._where}: the member {name!r} has not the length it declares."
                )
            return data


@contextlib.contextmanager
def open_archive(path, names):
    """Opens a zip archive that may hold certain members, each once, and nothing else.

    Args:
        path: path of the file.
        names: names of all members that it may have.

    Yields:
        An `Archive`.

    Raises:
        UntrustedFileError: it is no zip archive, or holds others, twice the same, links, or
            members outside of its folder.
    """
    where = os.fspath(path)
    with contextlib.ExitStack() as stack:
        with _readable(where):
            stream = stack.enter_context(open(path, "rb"))
            _check_end(stream, where)
            archive = stack.enter_context(zipfile.ZipFile(stream))
        _check_members(archive.infolist(), names, where)
        yield Archive(archive, where)


def _check_end(stream, where):
    """Bounds the list of members, which `zipfile` reads as a whole."""
    size = stream.seek(0, os.SEEK_END)
    if size < _END.size:
        raise UntrustedFileError(f"{where} is not a readable Keras file: it is no zip archive.")
    start = max(size - _END.size - _ZIP64_LOCATOR_LENGTH, 0)
    stream.seek(start)
    tail = stream.read()
    mark, _, _, _, members, directory, _, comment = _END.unpack(tail[-_END.size :])
    if mark != b"PK\5\6" or comment:
        raise UntrustedFileError(f"{where} is not a readable Keras file: it is no zip archive.")
    if tail[: -_END.size].startswith(b"PK\6\7"):
        raise UntrustedFileError(f"{where} is a zip archive of more than 2 GiB.")
    if members > _MAX_MEMBERS or directory > _MAX_DIRECTORY_BYTES:
        raise UntrustedFileError(f"{where} is a zip archive of {members} members.")
    stream.seek(0)


def _check_members(members, names, where):
    seen = set()
    for about in members:
        if about.filename not in names:
            raise UntrustedFileError(
                f"{where} holds a member {about.filename!r}. Members may be: {', '.join(names)}."
            )
        if about.filename in seen:
            raise UntrustedFileError(f"{where} holds the member {about.filename!r} twice.")
        seen.add(about.filename)
        if stat.S_ISLNK(about.external_attr >> 16):
            raise UntrustedFileError(f"{where}: the member {about.filename!r} is a link.")
        if about.compress_type not in _METHODS or about.flag_bits & 1:
            raise UntrustedFileError(
                f"{where}: the member {about.filename!r} is encrypted or compressed in an unusual "
                "way."
            )


@contextlib.contextmanager
def _readable(where):
    try:
        yield
    except UntrustedFileError:
        raise
    except (*_ERRORS, zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise UntrustedFileError(f"{where} is not a readable Keras file: {error}") from None
