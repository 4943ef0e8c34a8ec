"""The data check as text for a terminal or a log."""

import dataclasses
import os
import shutil

from detection.data_check.words import (
    count_of,
    cut,
    cut_front,
    of_length,
    pad,
    percent,
    width_of,
)
from keras_resnet.data.printable import printable

_PLACES = 3
_CLASSES = 30
_CODES = {"bold": "1", "error": "31;1", "warning": "33;1", "note": "2", "change": "36;1"}


@dataclasses.dataclass(frozen=True)
class Style:
    """How text is laid out.

    Args:
        width: Integer, columns.
        colour: Boolean, whether headings and levels are coloured.
        bar: String, one letter that bars are made of.
    """

    width: int = 80
    colour: bool = False
    bar: str = "#"

    def paint(self, text, name):
        """The text in the colour of a level, of a heading or of advice."""
        return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if self.colour else text


def terminal_style(stream):
    """The `Style` for a stream: plain, unless it is a terminal that shows colours.

    Args:
        stream: Text file, such as `sys.stdout`.
    """
    if not stream.isatty():
        return Style()
    columns = min(100, max(60, shutil.get_terminal_size().columns))
    colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    blocks = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return Style(columns, colour, "█" if blocks else "#")


def verdict(check):
    """One line: how many errors, warnings and notes there are."""
    counts = {"error": 0, "warning": 0, "note": 0}
    for problem in check.problems:
        counts[problem.level] += len(problem.findings)
    if not counts["error"] and not counts["warning"]:
        notes = f"; {count_of(counts['note'], 'note')}" if counts["note"] else ""
        return f"No errors and no warnings{notes}."
    return ", ".join(count_of(n, level) for level, n in counts.items() if n) + "."


def short_text(check, counts=True):
    """A few lines to print before training; without `counts` neither these nor mere notes."""
    lines = []
    for split, row in check.statistics.items() if counts else ():
        lines.append(f"{split} {printable(row['name'])}: {_split_line(row)}")
        shown = sorted(row["classes"], key=lambda c: -c["boxes"])
        names = [f"{cut(printable(c['name']), 24)} {c['boxes']:,}" for c in shown[:8]]
        more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
        lines.append(f"  boxes by class: {', '.join(names)}{more}")
    for problem in check.problems:
        if problem.level == "note" and not counts:
            continue
        first = problem.findings[0]
        place = cut_front(printable(first.where), 60)
        count = f"{problem.kind} ({len(problem.findings):,})"
        lines += [f"{problem.level}: {count}: {problem.title}", f"  first: {place}"]
    for split, row in list(check.coverage.items())[:1]:
        if row["mean"] is not None:
            lines.append(
                f"anchors: mean best IoU with the boxes of {split} {row['mean']:.2f}, "
                f"{percent(row['below_half'])} below 0.5"
            )
    for split, count in check.looked_at.items():
        images = check.statistics[split]["images"]
        lines.append(
            f"copies, repeated boxes and anchors were looked at in {count:,} of the {images:,} "
            f"images of {split}; scripts/check_data.py looks at all"
        )
    for advice in check.advice:
        if advice.change:
            lines.append(f"consider ({advice.about}): {advice.text}")
            lines += [f"  --set {setting!r}" for setting in advice.settings]
    return "\n".join(
        line if line.startswith("  --set") else "\n".join(_wrap(line, Style.width, after="  "))
        for line in lines
    )


def full_text(check, style=None):
    """The whole report, in columns and with bars."""
    style = style or Style()
    parts = [
        _heading("Data check", style),
        *_splits(check, style),
        *_classes(check, style),
        *_histograms(check, style),
        *_coverage(check, style),
        *_problems(check, style),
        *_advice(check, style),
    ]
    return "\n".join(parts)


def _split_line(row):
    return (
        f"{count_of(row['images'], 'image')} ({row['images_without_boxes']:,} without boxes), "
        f"{count_of(row['boxes'], 'box', 'boxes')}, {len(row['classes'])} classes"
    )


def _heading(text, style):
    return style.paint(text, "bold") + "\n" + style.paint("-" * len(text), "bold")


def _splits(check, style):
    splits = check.statistics
    names = [cut(printable(row["name"]), 26) for row in splits.values()]
    rows = [("", list(splits)), ("data set", names)]
    for label, key in (
        ("images", "images"),
        ("  without boxes", "images_without_boxes"),
        ("boxes", "boxes"),
        ("  crowds", "crowd_boxes"),
        ("  difficult", "difficult_boxes"),
    ):
        values = [row[key] for row in splits.values()]
        if any(values) or not label.startswith("  "):
            rows.append((label, [f"{value:,}" for value in values]))
    rows.append(("boxes an image", [_per_image(row) for row in splits.values()]))
    rows.append(("image size", [_image_size(row) for row in splits.values()]))
    rows.append(("box size, median", [_median(row["box_size"]) for row in splits.values()]))
    if all("resized" in row for row in splits.values()):
        sizes = [_median(row["resized"]["box_size"]) for row in splits.values()]
        rows.append(("  after resizing", sizes))
    rows.append(("height / width", [_ratios(row["aspect_ratio"]) for row in splits.values()]))
    return [_table(rows), ""]


def _per_image(row):
    counts = row["boxes_per_image"]
    if "mean" not in counts:
        return "-"
    return f"{counts['min']:.0f} to {counts['max']:.0f}, mean {counts['mean']:.1f}"


def _image_size(row):
    sizes = row["image_sizes"]
    if not sizes["most_common"]:
        return "-"
    first = sizes["most_common"][0]
    text = f"{first['width']} x {first['height']}"
    return text if sizes["different"] == 1 else f"{text} + {sizes['different'] - 1:,} more"


def _median(spread):
    if spread is None:
        return "-"
    low, middle, high = (of_length(spread[key]) for key in ("5%", "50%", "95%"))
    return f"{middle} px ({low}-{high})"


def _ratios(spread):
    return "-" if spread is None else "{50%:.2f} ({5%:.2f}-{95%:.2f})".format(**spread)


def _table(rows, gap=3):
    widths = [max(width_of(cells[i]) for _, cells in rows) for i in range(len(rows[0][1]))]
    first = max(width_of(label) for label, _ in rows)
    lines = []
    for label, cells in rows:
        columns = (pad(cell, width, right=True) for cell, width in zip(cells, widths))
        lines.append((pad(label, first) + " " * gap + (" " * gap).join(columns)).rstrip())
    return "\n".join(lines)


def _classes(check, style):
    first, *others = check.statistics
    rows = check.statistics[first]["classes"]
    order = sorted(range(len(rows)), key=lambda i: -rows[i]["boxes"])
    left_out = max(0, len(order) - _CLASSES)
    if left_out:
        # The most and the least frequent ones say most.
        order = [*order[: _CLASSES * 2 // 3], None, *order[-(_CLASSES // 3) :]]
    most = max((row["boxes"] for row in rows), default=0)
    table = [("class", [f"{first} boxes", "images", *(f"{split} boxes" for split in others), ""])]
    bars = max(8, style.width - 60)
    for index in order:
        if index is None:
            table.append((f"... {left_out} more", [""] * (3 + len(others))))
            continue
        row = rows[index]
        name = row["name"]
        counts = [f"{row['boxes']:,}", f"{row['images']:,}"]
        counts += [f"{_boxes_of(check.statistics[split], name):,}" for split in others]
        bar = pad(_bar(row["boxes"], most, bars, style), bars)
        table.append((cut(printable(name), 22), [*counts, bar]))
    return [_heading("Classes", style), _table(table, gap=2), ""]


def _boxes_of(statistics, name):
    return sum(row["boxes"] for row in statistics["classes"] if row["name"] == name)


def _bar(value, most, width, style):
    length = round(width * value / most) if most else 0
    return style.bar * max(length, 1 if value else 0)


def _histograms(check, style):
    split, row = next(iter(check.statistics.items()))
    if not row["boxes"]:
        return []
    parts = []
    resized = row.get("resized", row)
    where = "after resizing" if "resized" in row else "in the files"
    size = f"Boxes of {split} by size {where} (square root of the area)"
    for title, bars in (
        (size, resized["box_size_histogram"]),
        (f"Boxes of {split} by shape", row["aspect_ratio_histogram"]),
        (f"Images of {split} by number of boxes", row["boxes_per_image"]["histogram"]),
    ):
        parts += [_heading(title, style), _bars(bars, style), ""]
    return parts


def _bars(rows, style):
    total = sum(row["count"] for row in rows)
    most = max(row["count"] for row in rows)
    label = max(width_of(row["range"]) for row in rows)
    number = max(len(f"{row['count']:,}") for row in rows)
    width = style.width - label - number - 15
    lines = []
    for row in rows:
        share = percent(row["count"] / total) if total else ""
        bar = _bar(row["count"], most, width, style)
        text = f"  {pad(row['range'], label)}  {row['count']:>{number},}  {share:>7}  {bar}"
        lines.append(text.rstrip())
    return "\n".join(lines)


def _coverage(check, style):
    parts = []
    for number, (split, row) in enumerate(check.coverage.items()):
        if row["mean"] is None:
            continue
        words = (
            f"mean best IoU {row['mean']:.2f}; {percent(row['below_half'])} of "
            f"{count_of(row['boxes'], 'box', 'boxes')} below 0.5, "
            f"{percent(row['below_positive'])} without a positive anchor"
        )
        if number:  # Validation in one line.
            parts += [*_wrap(f"{split}: {words}", style.width), ""]
            continue
        parts.append(_heading("Anchors", style))
        parts += _wrap(f"{split}: {words}", style.width)
        parts.append(_bars(row["histogram"], style))
        table = [("  level", ["boxes", "mean IoU", "below 0.5"])]
        for level in row["by_level"]:
            sizes = ", ".join(f"{size:g}" for size in level["sizes"])
            table.append((f"  stride {level['stride']}, size {sizes}", _fit(level)))
        table.append(("  anchor's height / width", ["", "", ""]))
        table += [(f"    {r['ratio']:g}", _fit(r)) for r in row["by_ratio"]]
        table.append(("  size of the box", ["", "", ""]))
        table += [(f"    {r['range']}", _fit(r)) for r in row["by_size"]]
        table.append(("  shape of the box", ["", "", ""]))
        table += [(f"    {r['range']}", _fit(r)) for r in row["by_shape"]]
        parts += [_table(table), ""]
    return parts


def _fit(row):
    if row["mean"] is None:
        return ["0", "-", "-"]
    return [f"{row['boxes']:,}", f"{row['mean']:.2f}", percent(row["below_half"])]


def _problems(check, style):
    parts = [_heading("Problems", style), verdict(check)]
    for problem in check.problems:
        label = style.paint(problem.level.upper(), problem.level)
        text = f"{problem.kind} ({len(problem.findings):,}): {problem.title}"
        first, *more = _wrap(text, style.width, indent=9)
        parts.append(label + " " * (8 - len(problem.level)) + first.strip())
        parts += more
        for finding in problem.findings[:_PLACES]:
            parts += _place(finding, style.width)
        left = len(problem.findings) - _PLACES
        if left > 0:
            parts.append(f"{'':9}- and {left:,} more")
        parts += _wrap(f"-> {problem.advice}", style.width, indent=9)
    return [*parts, ""]


def _place(finding, width):
    room = width - 11
    line = f"{finding.split}: {cut_front(printable(finding.where), room - len(finding.split) - 2)}"
    detail = printable(finding.detail)
    if not detail:
        return [f"{'':9}- {line}"]
    if width_of(line) + width_of(detail) + 2 <= room:
        return [f"{'':9}- {line}: {detail}"]
    return [f"{'':9}- {line}", f"{'':11}{cut(detail, room)}"]


def _advice(check, style):
    parts = [_heading("Advice", style)]
    for advice in check.advice:
        mark = style.paint("change", "change") if advice.change else "fine  "
        first, *rest = _wrap(f"{advice.about}: {advice.text}", style.width, indent=9)
        parts += [f"{mark}   {first.strip()}", *rest]
        # Never broken: it is to be copied.
        parts += [f"{'':9}--set {setting!r}" for setting in advice.settings]
    if not check.advice:
        parts.append("None: there is nothing to judge.")
    return [*parts, ""]


def _wrap(text, width, indent=0, after=""):
    """Lines of a text, all of them indented, and all but the first by `after` as well."""
    leading = " " * (indent + len(text) - len(text.lstrip()))
    lines, line = [], leading
    # `textwrap` counts letters; those of some scripts take two columns.
    for word in text.split():
        longer = line + word if not line.strip() else f"{line} {word}"
        if line.strip() and width_of(longer) > width:
            lines.append(line)
            longer = leading + ("" if text.startswith(" ") else after) + word
        line = longer
    return [*lines, line]
