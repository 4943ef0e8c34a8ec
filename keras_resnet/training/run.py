"""Run folders: each run writes into a folder of its own."""

import pathlib
import re


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
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            "A run's name is letters, digits and `._-`, starting with a letter or digit. "
            f"Received: name={name!r}"
        )
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
