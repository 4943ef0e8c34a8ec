"""Runs that differ in nothing but the seed, taken together."""

import dataclasses

import numpy as np

from keras_resnet.experiments.grid import SHORTCUTS, Run
from keras_resnet.experiments.records import run_of

_LETTERS = {name: letter for letter, name in SHORTCUTS.items()}
_NAMES = {"plain": "plain", "residual": "ResNet", "highway": "highway"}


@dataclasses.dataclass(frozen=True)
class Summary:
    """One network over its seeds; errors in per cent.

    Attributes:
        run: `Run` of the first seed.
        records: tuple of all records, those of diverged runs included.
        finished: tuple of the records of the runs that did not diverge.
    """

    run: Run
    records: tuple

    @property
    def finished(self):
        return tuple(r for r in self.records if r["status"] == "finished")

    def percent(self, key):
        """float64 array, a figure of the finished runs in per cent."""
        return np.array([100 * r[key] for r in self.finished], "float64")

    def mean(self, key):
        """Mean over the finished runs in per cent; None without any."""
        return float(self.percent(key).mean()) if self.finished else None

    def std(self, key):
        """Standard deviation of the sample in per cent; None for fewer than two runs."""
        return float(self.percent(key).std(ddof=1)) if len(self.finished) > 1 else None

    def best(self, key):
        """Smallest of the finished runs in per cent; None without any."""
        return float(self.percent(key).min()) if self.finished else None

    def first(self, key):
        """A figure that is the same for all seeds; None if it was not recorded."""
        return self.records[0].get(key)

    @property
    def minutes(self):
        """Mean minutes of a run."""
        return float(np.mean([r["minutes"] for r in self.finished or self.records]))

    @property
    def trouble(self):
        """What to say about runs that diverged; empty if none did."""
        steps = [r["diverged_at"] for r in self.records if r["status"] == "diverged"]
        if not steps:
            return ""
        text = "diverged at step " + ", ".join(f"{step:,}" for step in steps)
        return text if not self.finished else f"{len(steps)} of {len(self.records)} {text}"


def summarize(records):
    """Groups records by network.

    Args:
        records: list of dicts, as `read_records` returns it.

    Returns:
        List of `Summary` in the order of the records.
    """
    groups = {}
    for record in records:
        run = run_of(record)
        groups.setdefault(dataclasses.replace(run, seed=0), []).append(record)
    return [Summary(run_of(group[0]), tuple(group)) for group in groups.values()]


def label(run):
    """Name of a network as in the paper.

    Example:
    >>> label(Run("residual", 56, "projection", 0)), label(Run("plain", 20, None, 0))
    ('ResNet-56 B', 'plain-20')
    """
    letter = f" {_LETTERS[run.shortcut]}" if run.shortcut else ""
    return f"{_NAMES[run.kind]}-{run.depth}{letter}"


def family(run):
    """Name of the nets that differ in their depth only.

    Example:
    >>> family(Run("residual", 56, "projection", 0))
    'ResNet B'
    """
    return f"{_NAMES[run.kind]} {_LETTERS[run.shortcut]}" if run.shortcut else _NAMES[run.kind]
