"""Finding images under the names that annotation tools give them on the machine they run on."""

import collections
import os
import re
import urllib.parse
from typing import NamedTuple

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # What Label Studio puts before an uploaded file's name.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class FoundFile(NamedTuple):
    """Where a named image is.

    Args:
        path: String.
        kind: Kind of problem (see `Problems`) or `None`, as of `NamedFiles.find`.
        tried: Tuple of the other names that were looked for.
        elsewhere: Boolean, whether it was found under one of these.
        shared: A file that is there and may not be taken, because another name means it, too.
    """

    path: str
    kind: str | None
    tried: tuple = ()
    elsewhere: bool = False
    shared: str | None = None

    def also(self):
        """What else was looked for, as the end of a problem's detail."""
        if self.shared is not None:
            return f"; {self.shared} is there, and another name means it, too"
        return f", also looked for as {', '.join(self.tried)}" if self.tried else ""

    def usable(self, name, folder, where, problems):
        """Whether there is an image to read; what is to be said of it is added to the problems.

        Args:
            name: String, as it was named.
            folder: String, in which it was looked for.
            where: String, the place of the name.
            problems: `Problems`.
        """
        if self.kind is not None:
            problems.add(self.kind, where, f"{name!r} in {folder}{self.also()}")
        elif self.elsewhere:
            problems.add("found_elsewhere", where, f"{name!r} is {self.path}")
        return self.kind is None


def find_files(files, names, subfolders=()):
    """Finds images by name, and those that are not there by what else the name may mean.

    What a name may mean: with `/` for Windows' `\\`, the path of a URL, without leading folders
    (`upload/4/a.jpg` is looked for as `4/a.jpg` and `a.jpg`), in one of `subfolders`, and without
    the eight hexadecimal digits by which Label Studio tells uploads apart. A file is taken in this
    way only if no other name means it.

    Args:
        files: A `NamedFiles`.
        names: Sequence of strings from annotations.
        subfolders: Sequence of strings, folders inside that of `files`.

    Returns:
        A list of `FoundFile`, one for each name.
    """
    found = {name: FoundFile(*files.find(name)) for name in names}
    missing = [name for name, file in found.items() if file.kind is not None]
    if missing:
        _look_elsewhere(files, found, missing, subfolders)
    return [found[name] for name in names]


def _look_elsewhere(files, found, missing, subfolders):
    meant = collections.Counter(
        os.path.realpath(file.path) for file in found.values() if file.kind is None
    )
    guesses = {}
    for name in missing:
        others = other_names(name, subfolders)
        found[name] = found[name]._replace(tried=tuple(others))
        hits = (path for path, kind in map(files.find, others) if kind is None)
        path = next(hits, None)
        if path is not None:
            guesses[name] = path
            meant[os.path.realpath(path)] += 1
    for name, path in guesses.items():
        if meant[os.path.realpath(path)] == 1:
            found[name] = found[name]._replace(path=path, kind=None, elsewhere=True)
        else:
            found[name] = found[name]._replace(shared=path)


def other_names(name, subfolders=()):
    """What else the name of an image may mean, the most likely first.

    Args:
        name: String from an annotation.
        subfolders: Sequence of strings.

    Returns:
        A list of strings without `name` itself.

    Example:

    ```python
    other_names("..\\\\upload\\\\4\\\\cb0618f6-a.jpg")
    # ["upload/4/cb0618f6-a.jpg", "4/cb0618f6-a.jpg", "cb0618f6-a.jpg", "a.jpg"]
    ```
    """
    parts = [part for part in _plain(name).split("/") if part not in ("", ".", "..")]
    parts = parts[-8:]  # Names are anybody's, and each part is one more look at the disk.
    if not parts:
        return []
    suffixes = ["/".join(parts[start:]) for start in range(len(parts))]
    candidates = suffixes + [f"{folder}/{name}" for folder in subfolders for name in suffixes]
    stripped = _UPLOAD.sub("", parts[-1], count=1) if _UPLOAD.match(parts[-1]) else None
    candidates += [stripped] if stripped else []
    return [text for text in dict.fromkeys(candidates) if text != name]


def _plain(name):
    """A name with slashes only, of a URL its path."""
    if _URL.match(name) or name.startswith("/data/local-files/?"):
        try:
            url = urllib.parse.urlsplit(name)
            # Label Studio's local storage: /data/local-files/?d=folder/a.jpg
            local = urllib.parse.parse_qs(url.query).get("d")
        except ValueError:
            return name.replace("\\", "/")
        name = local[0] if local else urllib.parse.unquote(url.path)
    return name.replace("\\", "/")
