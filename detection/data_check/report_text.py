"""The data check as text for a terminal or a log."""

from detection.data_check.text_layout import (
    Style,
    columns,
    heading,
    histogram,
    one_bar,
    terminal_style,
    wrapped,
)
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

__all__ = ["Style", "full_text", "short_text", "terminal_style", "verdict"]

_PLACES = 3
_CLASSES = 30


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
        line if line.startswith("  --set") else "\n".join(wrapped(line, Style.width, after="  "))
        for line in lines
    )


def full_text(check, style=None):
    """The whole report, in columns and with bars."""
    style = style or Style()
    parts = [
        heading("Data check", style),
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
    return [columns(rows), ""]


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
        bar = pad(one_bar(row["boxes"], most, bars, style), bars)
        table.append((cut(printable(name), 22), [*counts, bar]))
    return [heading("Classes", style), columns(table, gap=2), ""]


def _boxes_of(statistics, name):
    return sum(row["boxes"] for row in statistics["classes"] if row["name"] == name)


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
        parts += [heading(title, style), histogram(bars, style), ""]
    return parts


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
            parts += [*wrapped(f"{split}: {words}", style.width), ""]
            continue
        parts.append(heading("Anchors", style))
        parts += wrapped(f"{split}: {words}", style.width)
        parts.append(histogram(row["histogram"], style))
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
        parts += [columns(table), ""]
    return parts


def _fit(row):
    if row["mean"] is None:
        return ["0", "-", "-"]
    return [f"{row['boxes']:,}", f"{row['mean']:.2f}", percent(row["below_half"])]


def _problems(check, style):
    parts = [heading("Problems", style), verdict(check)]
    for problem in check.problems:
        label = style.paint(problem.level.upper(), problem.level)
        text = f"{problem.kind} ({len(problem.findings):,}): {problem.title}"
        first, *more = wrapped(text, style.width, indent=9)
        parts.append(label + " " * (8 - len(problem.level)) + first.strip())
        parts += more
        for finding in problem.findings[:_PLACES]:
            parts += _place(finding, style.width)
        left = len(problem.findings) - _PLACES
        if left > 0:
            parts.append(f"{'':9}- and {left:,} more")
        parts += wrapped(f"-> {problem.advice}", style.width, indent=9)
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
    parts = [heading("Advice", style)]
    for advice in check.advice:
        mark = style.paint("change", "change") if advice.change else "fine  "
        first, *rest = wrapped(f"{advice.about}: {advice.text}", style.width, indent=9)
        parts += [f"{mark}   {first.strip()}", *rest]
        # Never broken: it is to be copied.
        parts += [f"{'':9}--set {setting!r}" for setting in advice.settings]
    if not check.advice:
        parts.append("None: there is nothing to judge.")
    return [*parts, ""]
