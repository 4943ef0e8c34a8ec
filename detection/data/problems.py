"""What is wrong with a data set, collected by kind."""

from keras_resnet.data.errors import DataError

__all__ = ["DataError", "Problems"]

_KINDS = {
    "zero_area": "boxes of zero width or height, skipped",
    "negative_size": "boxes of negative width or height, skipped",
    "not_finite": "boxes with NaN or infinite coordinates, skipped",
    "outside": "boxes completely outside their image, skipped",
    "clipped": "boxes partly outside their image, clipped to it",
    "malformed_box": "annotations without a box of four numbers, skipped",
    "unknown_category": "annotations of a category that is not listed, skipped",
    "unknown_image": "annotations of an image that is not listed, skipped",
    "unknown_size": "annotations without the image's size, read from the file",
    "missing_image": "images that do not exist",
    "undecodable_image": "images that do not decode",
    "size_mismatch": "images of another size than their annotation says",
    "missing_annotation": "images without their annotation file",
    "malformed_annotation": "annotation files that cannot be read",
}


class Problems:
    """Everything found wrong while a data set was read, by kind.

    Readers never drop anything silently: what they skip or repair is added here, with the place
    (file, image id, position of the box) and the offending values.

    Example:

    ```python
    problems = Problems()
    problems.add("zero_area", "image 12, annotation 7", "bbox [3, 4, 0, 9]")
    problems.counts()                # {"zero_area": 1}
    print(problems.summary())
    ```
    """

    def __init__(self):
        self._found = {}

    def add(self, kind, where, detail=""):
        """Notes one problem.

        Args:
            kind: One of the known kinds, e.g. `"zero_area"` or `"missing_image"`.
            where: String naming the file, the image id and the box.
            detail: String with the offending values.

        Raises:
            ValueError: If the kind is not known.
        """
        if kind not in _KINDS:
            raise ValueError(f"`kind` must be one of {sorted(_KINDS)}. Received: kind={kind!r}")
        self._found.setdefault(kind, []).append((str(where), str(detail)))

    def merge(self, other):
        """Adds everything another `Problems` holds."""
        for kind, found in other._found.items():
            self._found.setdefault(kind, []).extend(found)

    def counts(self):
        """Returns a dict from kind to the number of problems of that kind."""
        return {kind: len(self._found[kind]) for kind in _KINDS if kind in self._found}

    def of_kind(self, kind):
        """Returns the list of `(where, detail)` of one kind, empty when there is none."""
        return list(self._found.get(kind, ()))

    def __len__(self):
        return sum(map(len, self._found.values()))

    def summary(self, limit=3):
        """Returns a short table: one line for each kind with its count, then the first places.

        Args:
            limit: Integer, how many places to name for each kind.
        """
        if not self._found:
            return "no problems found"
        lines = []
        for kind, count in self.counts().items():
            lines.append(f"{count:>7}  {_KINDS[kind]}")
            lines += [f"{'':9}- {_place(*found)}" for found in self._found[kind][:limit]]
            if count > limit:
                lines.append(f"{'':9}- and {count - limit} more")
        return "\n".join(lines)

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
            f"{_place(*place)} ({_KINDS[kind]})"
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


def _place(where, detail):
    return f"{where}: {detail}" if detail else where
