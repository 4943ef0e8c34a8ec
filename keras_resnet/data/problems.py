"""What is wrong with the images of a data set, collected by kind."""

import json

from keras_resnet.data.errors import DataError
from keras_resnet.data.printable import printable

_LISTED = 20  # Places of a kind in a file.


class Problems:
    """Everything found wrong while a data set was read, by kind.

    Readers never drop anything silently: what they skip or repair is added here, with the place
    (file, image id, position of the box) and the offending values.

    Attributes:
        KINDS: dict from each kind to what it means.
        UNUSABLE: tuple of the kinds that leave out an image.

    Example:
    >>> problems = Problems()
    >>> problems.add("missing_image", "cats/1.jpg")
    >>> problems.counts()
    {'missing_image': 1}
    """

    KINDS = {  # noqa: RUF012
        "missing_image": "images that do not exist",
        "undecodable_image": "images that do not decode",
        "outside_folder": "links that lead out of the folder",
    }
    UNUSABLE = ("missing_image", "outside_folder", "undecodable_image")

    def __init__(self):
        self._found = {}

    def add(self, kind, where, detail=""):
        """Notes one problem.

        Args:
            kind: One of the known kinds, e.g. `"undecodable_image"` or `"missing_image"`.
            where: String naming the file, the image id and the box.
            detail: String with the offending values. Of both, what a terminal would not print is
                escaped, and what is very long is cut.

        Raises:
            ValueError: If the kind is not known.
        """
        if kind not in self.KINDS:
            raise ValueError(f"`kind` must be one of {sorted(self.KINDS)}. Received: kind={kind!r}")
        self._found.setdefault(kind, []).append((printable(where, 1000), printable(detail)))

    def merge(self, other):
        """Adds everything another `Problems` holds."""
        for kind, found in other._found.items():
            self._found.setdefault(kind, []).extend(found)

    def counts(self):
        """Returns a dict from kind to the number of problems of that kind."""
        return {kind: len(self._found[kind]) for kind in self.KINDS if kind in self._found}

    def of_kind(self, kind):
        """Returns the list of `(where, detail)` of one kind, empty when there is none."""
        return list(self._found.get(kind, ()))

    def __len__(self):
        return sum(map(len, self._found.values()))

    def summary(self, limit=3, rest=""):
        """Returns a short table: one line for each kind with its count, then the first places.

        Args:
            limit: Integer, how many places to name for each kind.
            rest: String, what holds `to_dict()`, to be named where places are not.
        """
        if not self._found:
            return "no problems found"
        lines = []
        for kind, count in self.counts().items():
            lines.append(f"{count:>7}  {self.KINDS[kind]}")
            lines += [f"{'':9}- {_place(*found)}" for found in self._found[kind][:limit]]
            if count > limit:
                listed = len(self._listed(kind))
                where = f"{'all' if listed == count else f'the first {listed}'} in {rest}"
                lines.append(f"{'':9}- and {count - limit} more{f': {where}' if rest else ''}")
        return "\n".join(lines)

    def to_dict(self, limit=_LISTED):
        """Returns counts and the first places of each kind as a dict for a JSON file.

        Args:
            limit: Integer, how many places to name for each kind, but all of `UNUSABLE`: every
                image that is left out.
        """
        return {
            kind: {
                "count": count,
                "meaning": self.KINDS[kind],
                "first": [_place(*found) for found in self._listed(kind, limit)],
            }
            for kind, count in self.counts().items()
        }

    def _listed(self, kind, limit=_LISTED):
        return self._found[kind][: None if kind in self.UNUSABLE else limit]

    def refuse(self, headline, kinds, allowed=0, limit=10):
        """Raises one error for all problems of some kinds, if there are more than allowed.

        Args:
            headline: String, first words of the message.
            kinds: Tuple of kinds that count.
            allowed: Integer, how many are tolerated.
            limit: Integer, how many are named.

        Raises:
            DataError: Naming the count and the first `limit` places.
        """
        found = [
            f"{_place(*place)} ({self.KINDS[kind]})"
            for kind in kinds
            for place in self._found.get(kind, ())
        ]
        if len(found) <= allowed:
            return
        lines = [f"{headline}: {len(found)} found, {allowed} allowed."]
        lines += [f"  - {line}" for line in found[:limit]]
        if len(found) > limit:
            lines.append(f"  - and {len(found) - limit} more")
        raise DataError("\n".join(lines))


def problems_json(datasets):
    """What was skipped or repaired in each split, as the content of a JSON file.

    Args:
        datasets: dict from the name of a split to a data set with `problems`.

    Returns:
        bytes.

    Example:
    ```python
    (folder / "problems.json").write_bytes(problems_json({"train": train, "val": val}))
    ```
    """
    content = {split: dataset.problems.to_dict() for split, dataset in datasets.items()}
    return (json.dumps(content, indent=2) + "\n").encode()


def _place(where, detail):
    return f"{where}: {detail}" if detail else where
