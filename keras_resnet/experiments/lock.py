"""A lock on a file that ends with the process that holds it."""

import contextlib


@contextlib.contextmanager
def held(path):
    """Takes a lock if nobody has it.

    Args:
        path: `pathlib.Path` of the lock's file, made if missing.

    Yields:
        bool, whether this process has it. On systems without such locks always True.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
