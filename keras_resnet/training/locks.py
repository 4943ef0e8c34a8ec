"""Locks on files and run folders that end with the process that holds them."""

import contextlib
import errno
import json
import os
import pathlib
import socket
import threading
import warnings

from keras_resnet.training.write_errors import writing

RUN_LOCK = "run.lock"
_FAR = 2**30  # Windows lets nobody read a byte that is locked; the note comes before it.
# What systems say of disks without locks, such as some that are mounted over a network.
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_held = set()


class RunInUse(ValueError):
    """Another process works in a run folder."""


@contextlib.contextmanager
def held(path):
    """Takes a lock if nobody has it.

    The operating system ends the lock with the process, whatever ends that. While it is held, the
    file says who has it (`who_holds`); afterwards it stays, and means nothing.

    Args:
        path: path of the lock's file, made if missing, with its folder.

    Yields:
        bool, whether this process has it. On disks without locks always True.

    Raises:
        OSError: the file cannot be made or locked.

    Warns:
        UserWarning: the disk has no locks.

    Example:
    ```python
    with held("runs/a/.lock") as mine:
        if mine:
            ...
    ```
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A link that came with somebody's folder would have another file overwritten.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags, 0o666)
    try:
        if not _take(handle):
            yield False
            return
        note = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, note)
        yield True
    finally:
        os.close(handle)


def who_holds(path):
    """Who took the lock on a file last.

    Args:
        path: path given to `held`.

    Returns:
        str such as `"process 4711 on node3"`, or `"another process"`.
    """
    try:
        note = json.loads(pathlib.Path(path).read_bytes()[:1000])
        return f"process {int(note['pid'])} on {str(note['host'])!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


@contextlib.contextmanager
def run_lock(folder):
    """Keeps other processes out of a run folder.

    The thread that has the lock may take it again.

    Args:
        folder: path of the run folder, made if missing.

    Raises:
        RunInUse: another process or thread works in it; nothing there is changed.

    Example:
    ```python
    with run_lock("runs/a"):
        fit(model, make_batches, steps=1000, folder="runs/a")
    ```
    """
    folder = pathlib.Path(folder)
    key = (os.getpid(), threading.get_ident(), str(folder.resolve()))
    if key in _held:
        yield
        return
    path = folder / RUN_LOCK
    with contextlib.ExitStack() as stack:
        with writing(path):
            mine = stack.enter_context(held(path))
        if not mine:
            raise RunInUse(
                f"The run folder {folder} is in use by {who_holds(path)}, which would overwrite "
                "what this one writes. Wait until it ends or stop it; or choose another `run.name`."
            )
        _held.add(key)
        stack.callback(_held.discard, key)
        yield


def _take(handle):
    try:
        import fcntl
    except ImportError:
        import msvcrt

        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        warnings.warn(
            f"The disk has no locks ({os.strerror(error.errno)}), so that nothing keeps two "
            "processes from working in one run folder. See to it that they do not.",
            stacklevel=2,
        )
    return True
