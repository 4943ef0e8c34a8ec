"""The runs of an experiment: kinds x depths x shortcuts x seeds, and remedies."""

import dataclasses

from keras_resnet.experiments.remedies import REMEDIES

KINDS = ("plain", "residual", "highway")
# The options of the paper, section 4.1, by their letters.
SHORTCUTS = {"A": "zero_pad", "B": "projection", "C": "projection_all"}


@dataclasses.dataclass(frozen=True)
class Run:
    """One network that is trained once.

    Attributes:
        kind: `"plain"`, `"residual"` or `"highway"`.
        depth: int, layers, 6n + 2.
        shortcut: `"zero_pad"`, `"projection"` or `"projection_all"` for residual nets, else None.
        seed: int.
        remedy: key of `REMEDIES`, or None.

    Example:
    >>> Run("residual", 20, "zero_pad", 3).name
    'residual20_zero_pad_seed3'
    """

    kind: str
    depth: int
    shortcut: str | None
    seed: int
    remedy: str | None = None

    @property
    def name(self):
        """Name of the run's folder."""
        parts = [f"{self.kind}{self.depth}", self.shortcut, self.remedy, f"seed{self.seed}"]
        return "_".join(part for part in parts if part)

    @property
    def blocks(self):
        """int, blocks in each of the three stages."""
        return (self.depth - 2) // 6


def make_grid(kinds, depths, shortcuts, seeds, remedies=(), remedy_depth=None):
    """Lists the runs of an experiment, seed by seed, so that each first net comes early.

    Args:
        kinds: sequence of `"plain"`, `"residual"`, `"highway"`.
        depths: sequence of ints 6n + 2.
        shortcuts: sequence of `"zero_pad"`, `"projection"`, `"projection_all"` or `"A"`, `"B"`,
            `"C"`, for the residual nets.
        seeds: sequence of ints.
        remedies: sequence of keys of `REMEDIES`, tried on the plain net of `remedy_depth`. That
            net without remedy and the residual net (option A) are added where missing.
        remedy_depth: int, by default the largest of `depths`.

    Returns:
        List of `Run`.

    Raises:
        ValueError: an unknown kind, shortcut or remedy, a depth that is not 6n + 2, nothing to do.

    Example:
    >>> [run.name for run in make_grid(["plain", "residual"], [20], ["A"], [0])]
    ['plain20_seed0', 'residual20_zero_pad_seed0']
    """
    for values, name in ((kinds, "kinds"), (depths, "depths"), (seeds, "seeds")):
        if not values:
            raise ValueError(f"`{name}` must name at least one. Received: {name}={values!r}")
    _known(kinds, KINDS, "kinds")
    shortcuts = [SHORTCUTS.get(name, name) for name in shortcuts]
    _known(shortcuts, [*SHORTCUTS.values(), *SHORTCUTS], "shortcuts")
    _known(remedies, REMEDIES, "remedies")
    if "residual" in kinds and not shortcuts:
        raise ValueError("Residual nets need `shortcuts`, such as zero_pad. Received: none")
    if remedies:
        remedy_depth = max(depths) if remedy_depth is None else remedy_depth
    elif remedy_depth is not None:
        raise ValueError(
            f"`remedy_depth` is for `remedies`; name some. Received: remedy_depth={remedy_depth}"
        )
    for depth in [*depths, *([remedy_depth] if remedies else [])]:
        if depth < 8 or depth % 6 != 2:
            raise ValueError(
                "`depths` must be 6n + 2, n >= 1: 8, 14, 20, 32, 44, 56, 110, 1202, ... "
                f"Received: depth {depth}"
            )
    for seed in seeds:
        if seed < 0:
            raise ValueError(f"`seeds` must be >= 0. Received: seed {seed}")
    nets = [
        (kind, depth, shortcut, None)
        for kind in kinds
        for depth in depths
        for shortcut in (shortcuts if kind == "residual" else [None])
    ]
    if remedies:
        nets.append(("plain", remedy_depth, None, None))
        nets += [("plain", remedy_depth, None, remedy) for remedy in remedies]
        nets.append(("residual", remedy_depth, "zero_pad", None))
    runs = [
        Run(kind, depth, shortcut, seed, remedy)
        for seed in seeds
        for kind, depth, shortcut, remedy in nets
    ]
    return list(dict.fromkeys(runs))


def _known(values, choices, name):
    for value in values:
        if value not in choices:
            raise ValueError(
                f"`{name}` must be among {', '.join(choices)}. Received: {name} {value!r}"
            )
