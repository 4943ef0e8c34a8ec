"""The files that annotations name: only those of their own folder."""

import os
import stat

_SEPARATORS = {os.sep, os.altsep or os.sep, *(":" if os.name == "nt" else "")}


class NamedFiles:
    """Finds files by names that come from annotations, which may be anybody's.

    A file counts if it is a regular file and lies in the folder once `..` and links are resolved.
    The folder itself may be a link.

    Args:
        folder: String, the folder that the names are relative to.
        follow_links: Boolean, whether links inside the folder may lead out of it.

    Example:

    ```python
    NamedFiles("coco/val2017").find("../../.ssh/id_rsa")[1]     # "outside_folder"
    ```
    """

    def __init__(self, folder, follow_links=False):
        self._folder = folder
        self._prefix = os.path.join(folder, "")
        self._follow_links = follow_links
        self._lexical = os.path.abspath(folder)
        self._real = os.path.realpath(folder)
        self._known = {}

    def find(self, name):
        """Finds one file.

        Args:
            name: String from an annotation.

        Returns:
            A tuple `(path, kind)`; the kind of problem (see `Problems`) is `"missing_image"`,
            `"outside_folder"` or `None`.
        """
        if _SEPARATORS.isdisjoint(name):  # as most are, and joining takes as long as finding
            path, parent = self._prefix + name, self._folder
        else:
            path = os.path.join(self._folder, name)
            parent = os.path.dirname(path)
        try:
            # Most files share their folder, and resolving takes a system call for each part.
            if parent not in self._known:
                self._known[parent] = self._may_enter(parent)
            if not self._known[parent]:
                return path, "outside_folder"
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                if not self._follow_links and not _within(os.path.realpath(path), self._real):
                    return path, "outside_folder"
                found = os.stat(path)
        except (OSError, ValueError):  # ValueError: a NUL or half a character in the name.
            return path, "missing_image"
        return path, None if stat.S_ISREG(found.st_mode) else "missing_image"

    def _may_enter(self, parent):
        if _within(os.path.realpath(parent), self._real):
            return True
        # After a link, ".." leads elsewhere than it seems to.
        plain = self._follow_links and ".." not in parent[len(self._folder) :].split(os.sep)
        return plain and _within(os.path.abspath(parent), self._lexical)


def _within(path, folder):
    return path == folder or path.startswith(os.path.join(folder, ""))
