"""Run folders: each run writes into a folder of its own."""

import contextlib
import os
import pathlib
import re

from keras_resnet.training.locks import RUN_LOCK


def new_run_folder(root, name, exist_ok=False):
    """Makes `root/name`, or `root/name2`, `root/name3`, ... if that exists.

    Two processes that ask at once get two folders.

    Args:
        root: folder of all runs; made if missing.
        name: one path component of letters, digits and `._-`.
        exist_ok: return `root/name` if it exists, to continue a run in it.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: `name` is not a plain folder name.

    Example:
    ```python
    folder = new_run_folder("runs", "quickstart")    # runs/quickstart, then runs/quickstart2
    ```
    """
    check_run_name(root, name)
    root = pathlib.Path(root)
    root.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = root / (name if number == 1 else f"{name}{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            if exist_ok and folder.is_dir():
                return folder
            number += 1
        else:
            return folder


@contextlib.contextmanager
def removed_if_empty(folder):
    """Removes a run folder again if the run fails before it has written anything there.

    Otherwise the next run of this name would get a number behind it.

    Args:
        folder: path of the run folder, whose lock is held.

    Example:
    ```python
    with run_lock(folder), removed_if_empty(folder):
        ...
    ```
    """
    folder = pathlib.Path(folder)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if {path.name for path in folder.iterdir()} <= {RUN_LOCK}:
                (folder / RUN_LOCK).unlink(missing_ok=True)
                folder.rmdir()
        raise


def check_run_name(root, name):
    """Refuses a place in which no run folder can be made, before time is spent on the run.

    Args:
        root: folder of all runs; need not exist.
        name: as for `new_run_folder`.

    Raises:
        ValueError: `name` is not a plain folder name, or `root` is a file, in one, or in a folder
            that may not be written to.

    Example:
    ```python
    check_run_name("runs", "quickstart")
    ```
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            "A run's name is letters, digits and `._-`, starting with a letter or digit. "
            f"Received: name={name!r}"
        )
    check_output_folder(root)


def check_output_file(path):
    """Refuses a file that cannot be written, before time is spent on what goes into it.

    Args:
        path: path; need not exist, and is replaced if it does.

    Raises:
        ValueError: it is a folder or may not be written to, or as `check_output_folder` for the
            folder that it is in.

    Example:
    ```python
    check_output_file("figures.json")
    ```
    """
    path = pathlib.Path(os.path.abspath(path))
    if path.is_dir():
        raise ValueError(f"{path} is a folder; choose another file. Received: {path}")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{path} may not be written to; choose another file. Received: {path}")
    if not path.exists():
        check_output_folder(path.parent)


def check_output_folder(folder):
    """Refuses a folder that cannot be made or written to.

    Args:
        folder: path; need not exist.

    Raises:
        ValueError: it is a file, or in one, or may not be written to.

    Example:
    ```python
    check_output_folder("predictions")
    ```
    """
    there = pathlib.Path(os.path.abspath(folder))
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ValueError(f"{there} is a file; choose another folder. Received: {folder}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(
            f"The folder {there} may not be written to; choose another. Received: {folder}"
        )
