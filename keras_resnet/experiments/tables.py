"""Table 6 of the paper with our figures, as Markdown and CSV, and the table of the remedies."""

import csv
import io

from keras_resnet.experiments.published import OTHERS, SOURCE, published
from keras_resnet.experiments.remedies import REMEDIES
from keras_resnet.experiments.summary import family, label
from keras_resnet.training.csv_cells import csv_cell

_FULL_IMAGES, _FULL_STEPS, _FULL_BATCH = 50_000, 64_000, 128


def main_table(summaries):
    """The table of the networks as Markdown.

    Args:
        summaries: list of `Summary` of runs without remedy.

    Returns:
        str.
    """
    head = [
        "network",
        "parameters",
        "steps",
        "seeds",
        "test error %",
        "best",
        "training error %",
        "published test error %",
        "minutes a run",
    ]
    rows = [
        [
            label(s.run),
            f"{s.first('parameters') / 1e6:.2f} M",
            f"{s.first('steps'):,}",
            str(len(s.records)),
            _joined(_plus_minus(s, "test_error"), s.trouble),
            _number(s.best("test_error")),
            _plus_minus(s, "final_train_error") or "-",
            published(s.run) or "-",
            f"{s.minutes:.1f}",
        ]
        for s in summaries
    ]
    rows += [
        [f"*{name}*", f"{millions:g} M", "-", "-", "-", "-", "-", error, "-"]
        for name, millions, error in OTHERS
    ]
    return "\n".join(
        ["# Test error on CIFAR-10", "", *_markdown(head, rows), "", *_notes(summaries)]
    )


def main_csv(summaries):
    """The same as CSV, one row a network, unrounded."""
    rows = [
        {
            "network": label(s.run),
            "kind": s.run.kind,
            "depth": s.run.depth,
            "shortcut": s.run.shortcut or "",
            "parameters": s.first("parameters"),
            "steps": s.first("steps"),
            "batch": s.first("batch"),
            "runs": len(s.records),
            "diverged": len(s.records) - len(s.finished),
            **{
                f"{name}_{figure}": _plain(getattr(s, figure)(key))
                for name, key in (
                    ("test_error", "test_error"),
                    ("train_error", "final_train_error"),
                )
                for figure in ("mean", "std", "best")
            },
            "published_test_error": published(s.run),
            "minutes": f"{s.minutes:.3f}",
        }
        for s in summaries
    ]
    return _csv(rows)


def runs_csv(records):
    """One row a run, errors as shares."""
    keys = (
        "status",
        "diverged_at",
        "test_error",
        "best_test_error",
        "test_loss",
        "final_train_error",
        "final_train_loss",
        "parameters",
        "steps",
        "batch",
        "minutes",
        "backend",
    )
    return _csv([{**r["run"], **{key: r.get(key) for key in keys}} for r in records])


def remedies_table(summaries):
    """Compares the remedies on the plain net with the residual net that has none.

    Args:
        summaries: list of `Summary` of all runs.

    Returns:
        str, or None if no remedy was tried.
    """
    depths = dict.fromkeys(s.run.depth for s in summaries if s.run.remedy is not None)
    if not depths:
        return None
    head = ["network", "remedy", "steps", "seeds", "training error %", "test error %"]
    rows = []
    for depth in depths:
        nets = [s for s in summaries if s.run.depth == depth]
        plain = [s for s in nets if s.run.kind == "plain"]
        residual = [s for s in nets if s.run.shortcut == "zero_pad"]
        order = (None, *REMEDIES)
        for s in [*sorted(plain, key=lambda s: order.index(s.run.remedy)), *residual]:
            remedy = REMEDIES[s.run.remedy].text if s.run.remedy else "none"
            rows.append(
                [
                    label(s.run),
                    remedy,
                    f"{s.first('steps'):,}",
                    str(len(s.records)),
                    _joined(_plus_minus(s, "final_train_error"), s.trouble),
                    _plus_minus(s, "test_error") or "-",
                ]
            )
    text = (
        "Each remedy changes one thing of the recipe; a batch of another size scales the learning "
        "rate and sees as many images."
    )
    return "\n".join(
        ["# Remedies for the plain net", "", *_markdown(head, rows, left=2), "", text, ""]
    )


def degradation(summaries):
    """How much worse the deepest net of a family fits than its shallowest one.

    Args:
        summaries: list of `Summary` of runs without remedy.

    Returns:
        List of str, a sentence for each family of two depths or more.
    """
    families = {}
    for s in summaries:
        if s.finished:
            families.setdefault(family(s.run), []).append(s)
    lines = []
    for name, nets in families.items():
        nets = sorted(nets, key=lambda s: s.run.depth)
        if len(nets) < 2:
            continue
        low, high = (n.mean("final_train_error") for n in (nets[0], nets[-1]))
        lines.append(
            f"{name}: training error {low:.2f} % with {nets[0].run.depth} layers, {high:.2f} % "
            f"with {nets[-1].run.depth} ({high - low:+.2f})"
        )
    return lines


def _notes(summaries):
    lines = [
        "Test and training error are those after the last step, mean ± standard deviation over "
        "the seeds (n - 1); *best* is the smallest of the seeds. The training error is measured on "
        "the training images as they are, with the statistics of the norms fixed.",
        "",
        f"Published: {SOURCE}; best run (mean ± standard deviation), {_FULL_STEPS:,} steps of "
        f"{_FULL_BATCH} images on {_FULL_IMAGES:,} training images. Networks in italics are the "
        "paper's references.",
    ]
    if not summaries:
        return [*lines, ""]
    first = summaries[0]
    steps, batch, images = (first.first(key) for key in ("steps", "batch", "train_images"))
    if (steps, batch, images) != (_FULL_STEPS, _FULL_BATCH, _FULL_IMAGES):
        lines += [
            "",
            f"Scaled down: {steps:,} steps of {batch} images on {images:,} training and "
            f"{first.first('test_images'):,} test images; figures do not compare with the "
            "published ones. The learning rate drops at the same shares of the run.",
        ]
    deep = [s for s in summaries if s.first("warmup_steps")]
    if deep:
        names = ", ".join(label(s.run) for s in deep)
        length = deep[0].first("warmup_steps")
        lines += [
            "",
            f"Warm-up: {length:,} steps, for {names} (the paper: 400 of 64,000 at a tenth of the "
            "rate, for 110 layers).",
        ]
    found = degradation(summaries)
    if found:
        lines += ["", "From the shallowest to the deepest net:", ""]
        lines += [f"- {line}" for line in found]
    return [*lines, ""]


def _plus_minus(summary, key):
    mean, std = summary.mean(key), summary.std(key)
    if mean is None:
        return ""
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def _number(value):
    return "-" if value is None else f"{value:.2f}"


def _plain(value):
    return "" if value is None else f"{value:.6g}"


def _joined(*parts):
    return "; ".join(part for part in parts if part)


def _markdown(head, rows, left=1):
    table = [head, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = ["| " + " | ".join(_padded(row, widths, left)) + " |" for row in table]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return [lines[0], "| " + " | ".join(rule) + " |", *lines[1:]]


def _padded(row, widths, left):
    for i, (cell, width) in enumerate(zip(row, widths)):
        yield cell.ljust(width) if i < left else cell.rjust(width)


def _csv(rows):
    stream = io.StringIO()
    if rows:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([csv_cell(name) for name in rows[0]])
        writer.writerows([csv_cell(row.get(name)) for name in rows[0]] for row in rows)
    return stream.getvalue()
