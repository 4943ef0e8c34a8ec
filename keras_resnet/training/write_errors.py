"""Says in words what a disk that cannot be written to means for a run."""

import contextlib
import errno
import os

_WHAT_TO_DO = {
    errno.ENOSPC: "Make room",
    errno.EDQUOT: "Make room within your quota",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "Make the disk writable",
    errno.EACCES: "Make the folder writable",
    errno.EPERM: "Make the folder writable",
}


class WriteError(OSError):
    """A file of a run could not be written; what was there before is as it was."""


@contextlib.contextmanager
def writing(path, otherwise=""):
    """Within it, errors of the operating system are about writing to a path.

    Args:
        path: path of the file or folder that is written, whole or not at all.
        otherwise: str, a sentence on what else the user may do.

    Raises:
        WriteError: with the path, the reason and what to do.

    Example:
    ```python
    with writing("runs/a/results.csv"):
        write_rows("runs/a/results.csv")
    ```
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        what = _WHAT_TO_DO.get(error.errno, "Mend that")
        new = WriteError(
            f"{path} could not be written: {reason}. Checkpoints that were complete are untouched. "
            f"{what}, then continue the run (--resume, run.resume=true) or, if it had none yet, "
            f"start it again. {otherwise}".rstrip()
        )
        new.errno = error.errno
        raise new from error
