"""Looks through a data set before it is trained on."""

import collections.abc
import dataclasses
import os

from detection.config import Config, load_config
from detection.data import DetectionDataset
from detection.data_check import suspicious
from detection.data_check.advice import give_advice
from detection.data_check.better_anchors import better_anchors
from detection.data_check.coverage import anchor_coverage, boxes_in_batches
from detection.data_check.kinds import KINDS, LEVELS, kind_of
from detection.data_check.near_copies import find_near_copies
from detection.data_check.report_text import full_text, short_text
from detection.data_check.statistics import split_statistics
from detection.data_check.table import BoxTable
from detection.datasets import open_dataset

_ANY_NUMBER = 10**9


@dataclasses.dataclass(frozen=True)
class Problem:
    """All places where the same is wrong.

    Args:
        kind: String, a name in `detection.data_check.kinds.KINDS`, e.g. `"duplicate_box"`.
        findings: Tuple of `Finding`, each with `split`, `where` and `detail`.
    """

    kind: str
    findings: tuple

    @property
    def level(self):
        """`"error"`, `"warning"` or `"note"`."""
        return kind_of(self.kind).level

    @property
    def title(self):
        """What there is some number of, e.g. `"images that do not decode, left out"`."""
        return kind_of(self.kind).title

    @property
    def advice(self):
        """What to do."""
        return kind_of(self.kind).advice

    def to_dict(self, max_places=100):
        """The problem as plain data, with its first places."""
        by_split = {}
        for finding in self.findings:
            by_split[finding.split] = by_split.get(finding.split, 0) + 1
        return {
            "kind": self.kind,
            "level": self.level,
            "title": self.title,
            "advice": self.advice,
            "count": len(self.findings),
            "by_split": by_split,
            "places": [
                {"split": f.split, "where": f.where, "detail": f.detail}
                for f in self.findings[:max_places]
            ],
        }


@dataclasses.dataclass(frozen=True)
class DataCheck:
    """What `check_data` found.

    Attributes:
        datasets: Dict from split to `DetectionDataset`.
        statistics: Dict from split to what `split_statistics` returned.
        coverage: Dict from split to what `anchor_coverage` returned; empty without configuration.
        problems: Tuple of `Problem`, the serious ones first.
        advice: Tuple of `Advice`.
        config: The `detection.config.Config` or `None`.
        looked_at: Dict from split to the number of images that were looked at one by one, where
            these are not all.
    """

    datasets: dict
    statistics: dict
    coverage: dict
    problems: tuple
    advice: tuple
    config: object = None
    looked_at: dict = dataclasses.field(default_factory=dict)

    def defects(self, allow=()):
        """The problems that are errors or warnings.

        Args:
            allow: Kinds to leave out.

        Raises:
            ValueError: If a kind is not known.
        """
        known = {*KINDS, *(problem.kind for problem in self.problems)}
        unknown = sorted(set(allow) - known)
        if unknown:
            raise ValueError(
                f"There are no problems of the kind {', '.join(unknown)}. Kinds: "
                f"{', '.join(sorted(known))}"
            )
        return [p for p in self.problems if p.level != "note" and p.kind not in allow]

    def summary(self):
        """A few lines to print before training: counts, problems, and what to change."""
        return short_text(self)

    def remarks(self):
        """The lines of `summary` on errors, warnings and what to change, without the counts."""
        return short_text(self, counts=False) or "nothing to remark"

    def text(self, style=None):
        """The whole report as text of 80 columns.

        Args:
            style: Optional `detection.data_check.report_text.Style`; by default plain ASCII.
        """
        return full_text(self, style)

    def to_dict(self, max_places=100):
        """Everything as plain data, ready for `json.dump`.

        Args:
            max_places: Integer, how many places of each problem to name; counts are complete.
        """
        return {
            "splits": self.statistics,
            "anchors": self.coverage,
            "problems": [problem.to_dict(max_places) for problem in self.problems],
            "advice": [dataclasses.asdict(advice) for advice in self.advice],
            "config": None if self.config is None else self.config.model_dump(mode="json"),
            "looked_at": self.looked_at,
        }


def check_data(
    source: Config | dict[str, DetectionDataset] | str | os.PathLike[str],
    config: Config | None = None,
    decode: bool = True,
    most_images: int | None = None,
) -> DataCheck:
    """Looks through training and validation data, and how a configuration fits them.

    Unusable images and boxes never stop the check: they are among the problems. Nothing is
    written, and no network is built.

    Args:
        source: A `detection.config.Config`, whose data sets are opened, or what `load_config`
            takes: the name of one or the path of a YAML file; or a dict from split to
            `DetectionDataset`, training first.
        config: With a dict, optionally the `Config` that it will be trained with. Without it
            nothing is said about sizes after resizing, anchors and schedules.
        decode: Boolean, whether to decode every image, which finds truncated files and images in
            two splits that look alike, instead of reading headers only. Data sets that are given
            are open already, and not read again but for images that may be copies.
        most_images: Optional integer, how many images of each split are looked at one by one, to
            bound the time: for copies of images, repeated boxes and the fit of the anchors, which
            are then of images at equal distances. Counts and sizes are always those of all.

    Returns:
        A `DataCheck`.

    Raises:
        ValueError: If a data set cannot be read at all, or its settings contradict each other.
        OSError: If files of annotations or folders are missing.

    Example:

    ```python
    found = detection.check_data("quickstart")
    print(found.summary())
    [problem.kind for problem in found.problems]        # ["image_without_boxes"]
    ```
    """
    if isinstance(source, collections.abc.Mapping):
        datasets = dict(source)
        if not datasets:
            raise ValueError("There must be a data set for one split at least. Received: {}")
    elif config is not None:
        raise ValueError(
            "`config` goes with data sets that are open already; a configuration is the only "
            f"argument. Received: source of type {type(source).__name__} and a config"
        )
    else:
        source = load_config(source) if isinstance(source, (str, os.PathLike)) else source
        config = source
        if not isinstance(config, Config):
            raise ValueError(
                "`source` must be a configuration, its name or path, or a dict of data sets. "
                f"Received: source of type {type(source).__name__}"
            )
        verify = "decode" if decode else "headers"
        data = config.data.model_copy(
            update={"verify": verify, "max_bad_images": _ANY_NUMBER}
        )  # All that is bad is told, so none is refused.
        datasets = {split: open_dataset(data, split) for split in ("train", "val")}
    pipeline = None if config is None else config.data.pipeline
    look_at_pixels = source is config and decode
    samples = {split: _Sample(dataset, most_images) for split, dataset in datasets.items()}
    tables = {split: BoxTable(dataset) for split, dataset in datasets.items()}
    statistics = {split: split_statistics(table, pipeline) for split, table in tables.items()}
    coverage, better = {}, None
    if config is not None:
        for number, (split, sample) in enumerate(samples.items()):
            dataset = sample.dataset
            if len(dataset) == 0:
                continue
            shown = boxes_in_batches(dataset, pipeline, training=number == 0)
            coverage[split] = anchor_coverage(*shown, config.model)
            if number == 0:
                keep = config.train.start_from is not None
                better = better_anchors(*shown, config.model, keep_ratios=keep)
    first = next(iter(datasets))
    return DataCheck(
        datasets=datasets,
        statistics=statistics,
        coverage=coverage,
        problems=_problems(datasets, tables, samples, pipeline, look_at_pixels),
        advice=tuple(give_advice(statistics, coverage.get(first), better, config)),
        config=config,
        looked_at={s: len(sample.dataset) for s, sample in samples.items() if sample.rows},
    )


class _Sample:
    """Images of a data set at equal distances, or all of them."""

    def __init__(self, dataset, most):
        self.dataset, self.rows = dataset, None
        if most is not None and len(dataset) > most:
            self.rows = [len(dataset) * i // most for i in range(most)]
            self.dataset = dataset.subset(self.rows)

    def located(self, finding):
        """A finding in the sample, with the place of its image in the whole data set."""
        if self.rows is None or finding.image is None:
            return finding
        return dataclasses.replace(finding, image=self.rows[finding.image])


def _problems(datasets, tables, samples, pipeline, look_at_pixels):
    findings = []
    for split, table in tables.items():
        sample = samples[split]
        few = table if sample.rows is None else BoxTable(sample.dataset)
        findings += suspicious.find_in_reading(split, datasets[split])
        findings += suspicious.find_boxes(split, table, pipeline)
        findings += map(sample.located, suspicious.find_repeated_boxes(split, few))
        findings += suspicious.find_images_without_boxes(split, table)
    few = {split: sample.dataset for split, sample in samples.items()}
    copies = [*suspicious.find_copies(few), *(find_near_copies(few) if look_at_pixels else ())]
    findings += (samples[finding.split].located(finding) for finding in copies)
    findings += suspicious.find_classes(tables)
    by_kind = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    problems = [Problem(kind, tuple(found)) for kind, found in by_kind.items()]
    order = list(KINDS)
    # Kinds of readers that are not listed come last within their level.
    return tuple(
        sorted(
            problems,
            key=lambda p: (
                LEVELS.index(p.level),
                order.index(p.kind) if p.kind in order else len(order),
            ),
        )
    )
