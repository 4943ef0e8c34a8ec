"""What to say about a path that is not there: what was tried, and what is there instead."""

import itertools
import os

from keras_resnet.data.printable import printable

_SHOWN = 8
_LOOKED_AT = 1000  # Entries of a folder; the first of them in alphabetical order are shown.


def tried(*paths):
    """Lists paths that were tried, and what the nearest existing folders hold.

    Args:
        *paths: Strings.

    Returns:
        A string of several lines, to be put behind the first line of an error.

    Example:

    ```python
    raise FileNotFoundError(f"There is no split file. Received: split={split!r}\\n{tried(path)}")
    ```
    """
    paths = list(dict.fromkeys(os.path.abspath(path) for path in paths))
    lines = [f"  Tried: {printable(path, 1000)}" for path in paths]
    folders = dict.fromkeys(map(_nearest_folder, paths))
    lines += [f"  In {printable(folder, 1000)}: {first_names(folder)}" for folder in folders]
    return "\n".join(lines)


def first_names(folder):
    """The first names in a folder as a string; folders end in a slash."""
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name + ("/" if entry.is_dir() else "")
                for entry in itertools.islice(entries, _LOOKED_AT)
            ]
    except OSError as error:
        return f"not readable ({error.strerror})"
    shown = ", ".join(printable(name, 100) for name in sorted(names)[:_SHOWN])
    if len(names) > _SHOWN:
        count = f"{_LOOKED_AT} or more" if len(names) == _LOOKED_AT else len(names)
        shown += f", ... ({count} in all)"
    return shown or "nothing"


def _nearest_folder(path):
    while not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent == path:
            break
        path = parent
    return path
