"""Values of any type and nesting from a row of bytes, for fuzzing behind the parser."""

AWKWARD = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    2**31,
    2**63,
    10**400,
    "",
    "1",
    "nan",
    "1.jpg",
    "../1.jpg",
    "/etc/passwd",
    "a\0b",
    "\ud800",
    "\x1b[2J",
    "=cmd()",
    [],
    {},
)


class Choices:
    """Makes choices by the bytes of an input; without bytes it always takes the first."""

    def __init__(self, data):
        self._data = data
        self._position = 0

    def below(self, count):
        """An int of `0..count - 1`."""
        if self._position >= len(self._data):
            return 0
        self._position += 1
        return self._data[self._position - 1] % count

    def of(self, options):
        return options[self.below(len(options))]

    def value(self, depth=3):
        """A value as JSON has them."""
        kind = self.below(8) if depth else 0
        if kind == 6:
            return [self.value(depth - 1) for _ in range(self.below(6))]
        if kind == 7:
            return {str(self.of(AWKWARD)): self.value(depth - 1) for _ in range(self.below(4))}
        return self.of(AWKWARD)

    def spoil(self, content):
        """Replaces, removes or repeats some parts of nested lists and dicts, in place."""
        for _ in range(self.below(6)):
            place = content
            while True:
                keys = list(place) if isinstance(place, dict) else range(len(place))
                if not keys:
                    break
                key = keys[self.below(len(keys))]
                inner = place[key]
                if isinstance(inner, list | dict) and inner and self.below(4):
                    place = inner
                    continue
                change = self.below(4)
                if change == 0:
                    place[key] = self.value()
                elif change == 1 and isinstance(place, list):
                    place.append(inner)
                elif change == 2:
                    del place[key]
                else:
                    place[key] = self.of(AWKWARD)
                break
        return content
