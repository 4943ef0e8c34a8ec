"""How text for a terminal or a log is laid out: headings, columns, bars, lines of a width."""

import dataclasses
import os
import shutil

from detection.data_check.words import pad, percent, width_of

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


def heading(text, style):
    """Two lines: a text, underlined."""
    return style.paint(text, "bold") + "\n" + style.paint("-" * len(text), "bold")


def columns(rows, gap=3):
    """Lines of `(label, list of cells)`, the cells flush right under each other."""
    widths = [max(width_of(cells[i]) for _, cells in rows) for i in range(len(rows[0][1]))]
    first = max(width_of(label) for label, _ in rows)
    lines = []
    for label, cells in rows:
        padded = (pad(cell, width, right=True) for cell, width in zip(cells, widths))
        lines.append((pad(label, first) + " " * gap + (" " * gap).join(padded)).rstrip())
    return "\n".join(lines)


def one_bar(value, most, width, style):
    """A bar as long as a value, `width` letters at most; what is not 0 can be seen."""
    length = round(width * value / most) if most else 0
    return style.bar * max(length, 1 if value else 0)


def histogram(rows, style):
    """Lines of dicts with `range` and `count`: count, share of all, and a bar."""
    total = sum(row["count"] for row in rows)
    most = max(row["count"] for row in rows)
    label = max(width_of(row["range"]) for row in rows)
    number = max(len(f"{row['count']:,}") for row in rows)
    width = style.width - label - number - 15
    lines = []
    for row in rows:
        share = percent(row["count"] / total) if total else ""
        bar = one_bar(row["count"], most, width, style)
        text = f"  {pad(row['range'], label)}  {row['count']:>{number},}  {share:>7}  {bar}"
        lines.append(text.rstrip())
    return "\n".join(lines)


def wrapped(text, width, indent=0, after=""):
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
