"""The data check as one HTML page that needs nothing else: no network, no scripts."""

import base64
import html
import io

from detection.data_check.report_text import verdict
from detection.data_check.words import count_of, of_length, percent
from keras_resnet.data.printable import printable

_PLACES = 20
_LONGEST = 2000  # Characters of a name.
_CLASSES = 30
_QUALITY = 82  # Of the pictures inside the page.

_STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1a1d21; --soft: #5c6670;
  --line: #d9dee3; --panel: #f5f7f9; --bar: #2563eb; --error: #b91c1c; --warning: #92520a;
  --note: #4b5563; --fine: #15703a; --change: #0b6a8f; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e6e9ec; --soft: #9aa5b0;
  --line: #323a42; --panel: #1d2227; --bar: #5b8def; --error: #f38b8b; --warning: #e9b35f;
  --note: #a9b4bf; --fine: #6fcf97; --change: #62c4e8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.2rem 1rem 3rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line);
  padding-bottom: .2rem; }
h3 { font-size: .95rem; margin: 0 0 .4rem; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .28rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; white-space: normal; }
.grid th, .grid td { padding: .28rem .4rem; }
td:first-child, th:first-child { text-align: left; }
td.name { white-space: normal; overflow-wrap: anywhere; min-width: 6rem; }
td.graph { width: 38%; min-width: 5rem; }
.bar { display: block; height: .8rem; margin-top: .3rem; border-radius: 2px;
  background: var(--bar); }
.grid { display: grid; gap: 1.4rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.grid > * { min-width: 0; }
.item { background: var(--panel); border-radius: 6px; padding: .6rem .8rem; margin: .5rem 0;
  border-left: 4px solid var(--note); }
.item.error { border-color: var(--error); } .item.warning { border-color: var(--warning); }
.item.change { border-color: var(--change); } .item.fine { border-color: var(--fine); }
.tag { font-weight: 700; font-size: .75rem; text-transform: uppercase; letter-spacing: .04em; }
.tag.error { color: var(--error); } .tag.warning { color: var(--warning); }
.tag.note { color: var(--note); } .tag.change { color: var(--change); }
.tag.fine { color: var(--fine); }
code { font: .86em/1.45 ui-monospace, Consolas, monospace; overflow-wrap: anywhere; }
pre { margin: .4rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin-top: .4rem; } summary { cursor: pointer; color: var(--soft); }
ul { margin: .3rem 0; padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; display: block; border-radius: 4px; }
@media (max-width: 40rem) { th, td { padding: .28rem .3rem; } .grid { gap: 1rem; }
  td:first-child { white-space: normal; min-width: 6rem; } td.name { min-width: 4.5rem; }
  td.graph { width: 26%; min-width: 2.5rem; } }
"""


def html_page(check, title="Data check", samples=None, suspicious=None):
    """The report as a page.

    Every text from the data is escaped; a policy in the page forbids scripts and the network.

    Args:
        check: A `DataCheck`.
        title: String.
        samples, suspicious: Optional `PIL.Image`s, contact sheets.

    Returns:
        String, the page.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
        f"<h1>{_text(title)}</h1>",
        f'<p class="soft">{_text(verdict(check))}</p>',
        *_problems(check),
        *_advice(check),
        *_splits(check),
        *_classes(check),
        *_boxes(check),
        *_anchors(check),
        *_picture("Suspicious images, with the suspicious boxes only", suspicious),
        *_picture("Images with their boxes", samples),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _text(text):
    return html.escape(printable(text, _LONGEST), quote=True)


def _table(head, rows):
    """`rows` are lists of cells, which are safe already or pairs (class, safe text)."""
    lines = ['<div class="wide"><table>']
    if head:
        lines.append("<tr>" + "".join(f"<th>{_text(cell)}</th>" for cell in head) + "</tr>")
    for row in rows:
        cells = (cell if isinstance(cell, tuple) else ("number", cell) for cell in row)
        columns = "".join(f'<td class="{kind}">{text}</td>' for kind, text in cells)
        lines.append(f"<tr>{columns}</tr>")
    return "\n".join([*lines, "</table></div>"])


def _bar(value, most):
    if not value:
        return ("graph", "")
    share = max(0.5, 100 * value / most)
    return ("graph", f'<span class="bar" style="width:{share:.1f}%"></span>')


def _bars(title, rows):
    most = max((row["count"] for row in rows), default=0)
    cells = [[_text(row["range"]), f"{row['count']:,}", _bar(row["count"], most)] for row in rows]
    return f"<div><h3>{_text(title)}</h3>{_table((), cells)}</div>"


def _problems(check):
    parts = ["<h2>Problems</h2>"]
    if not check.problems:
        parts.append("<p>None found.</p>")
    for problem in check.problems:
        row = problem.to_dict(_PLACES)
        places = "".join(
            f"<li>{_text(p['split'])}: <code>{_text(p['where'])}</code> {_text(p['detail'])}</li>"
            for p in row["places"]
        )
        left = row["count"] - len(row["places"])
        places += f"<li>and {left:,} more</li>" if left > 0 else ""
        parts.append(
            f'<div class="item {row["level"]}"><span class="tag {row["level"]}">{row["level"]}'
            f"</span> <strong>{_text(row['kind'])} ({row['count']:,})</strong>: "
            f"{_text(row['title'])}<p>{_text(row['advice'])}</p>"
            f"<details><summary>{count_of(row['count'], 'place')}</summary><ul>{places}</ul>"
            "</details></div>"
        )
    return parts


def _advice(check):
    parts = ["<h2>Advice</h2>"] if check.advice else []
    for advice in check.advice:
        name = "change" if advice.change else "fine"
        settings = "\n".join(f"--set '{_text(setting)}'" for setting in advice.settings)
        settings = f"<pre><code>{settings}</code></pre>" if settings else ""
        parts.append(
            f'<div class="item {name}"><span class="tag {name}">{name}</span> '
            f"<strong>{_text(advice.about)}</strong><p>{_text(advice.text)}</p>{settings}</div>"
        )
    return parts


def _splits(check):
    splits = check.statistics
    columns = splits.values()
    rows = [["data set", *(("name", _text(row["name"])) for row in columns)]]
    for label, key in (
        ("images", "images"),
        ("images without boxes", "images_without_boxes"),
        ("boxes", "boxes"),
        ("crowd boxes", "crowd_boxes"),
        ("difficult boxes", "difficult_boxes"),
    ):
        rows.append([label, *(f"{row[key]:,}" for row in columns)])
    rows.append(["boxes an image, mean", *(_mean(row["boxes_per_image"]) for row in columns)])
    for label, key in (("smallest", "min"), ("median", "50%"), ("largest", "max")):
        rows.append([f"box size, {label}", *(_pixels(row["box_size"], key) for row in columns)])
    if all("resized" in row for row in columns):
        cells = (_pixels(row["resized"]["box_size"], "50%") for row in columns)
        rows.append(["box size after resizing, median", *cells])
    for size in ("small", "medium", "large"):
        rows.append([f"{size} boxes (COCO)", *(f"{row['coco_sizes'][size]:,}" for row in columns)])
    rows.append(["image sizes", *(("name", _sizes(row["image_sizes"])) for row in columns)])
    return ["<h2>Splits</h2>", _table(("", *splits), rows)]


def _mean(spread):
    return f"{spread['mean']:.1f}" if "mean" in spread else "-"


def _pixels(spread, key):
    return "-" if spread is None else f"{of_length(spread[key])} px"


def _sizes(sizes):
    shown = [f"{s['width']} x {s['height']} ({s['images']:,})" for s in sizes["most_common"]]
    more = sizes["different"] - len(shown)
    return ", ".join([*shown, *([f"{more:,} more"] if more > 0 else [])]) or "-"


def _classes(check):
    first, *others = check.statistics
    rows = sorted(check.statistics[first]["classes"], key=lambda row: -row["boxes"])
    most = max((row["boxes"] for row in rows), default=0)
    boxes = {
        split: {row["name"]: row["boxes"] for row in check.statistics[split]["classes"]}
        for split in others
    }
    cells = []
    for row in rows:
        size = "-" if row["median_size"] is None else f"{of_length(row['median_size'])} px"
        counts = [f"{row['boxes']:,}", _bar(row["boxes"], most), f"{row['images']:,}", size]
        counts += [f"{boxes[split].get(row['name'], 0):,}" for split in others]
        cells.append([("name", _text(row["name"])), *counts])
    head = ("class", f"{first} boxes", "", "images", "median size", *(f"{s} boxes" for s in others))
    parts = ["<h2>Classes</h2>", _table(head, cells[:_CLASSES])]
    if len(cells) > _CLASSES:
        rest = f"{len(cells) - _CLASSES:,} rarer classes"
        table = _table(head, cells[_CLASSES:])
        parts.append(f"<details><summary>{rest}</summary>{table}</details>")
    return parts


def _boxes(check):
    parts = []
    for split, row in check.statistics.items():
        if not row["boxes"]:
            continue
        resized = row.get("resized", row)
        where = "after resizing" if "resized" in row else "in the files"
        parts += [
            f'<h2>Boxes of {_text(split)}</h2>\n<div class="grid">',
            _bars(f"Size {where}, square root of the area", resized["box_size_histogram"]),
            _bars("Shape, width to height", row["aspect_ratio_histogram"]),
            _bars("Images by number of boxes", row["boxes_per_image"]["histogram"]),
            "</div>",
        ]
    return parts


def _anchors(check):
    parts = []
    for split, row in check.coverage.items():
        if row["mean"] is None:
            continue
        parts += [
            f"<h2>Anchors and boxes of {_text(split)}</h2>",
            f"<p>The best anchor overlaps a box by {row['mean']:.2f} on average (IoU). "
            f"{percent(row['below_half'])} of {count_of(row['boxes'], 'box', 'boxes')} are below "
            f"0.5; {percent(row['below_positive'])} have no positive anchor but their best "
            'one.</p>\n<div class="grid">',
            _bars("Best IoU", row["histogram"]),
        ]
        for title, key, name in (
            ("By level", "by_level", _level),
            ("By height / width of the anchor", "by_ratio", lambda r: f"{r['ratio']:g}"),
            ("By size of the box", "by_size", lambda r: r["range"]),
            ("By shape of the box", "by_shape", lambda r: r["range"]),
        ):
            cells = [[_text(name(r)), f"{r['boxes']:,}", *_fit(r)] for r in row[key]]
            head = ("", "boxes", "mean IoU", "below 0.5")
            parts.append(f"<div><h3>{title}</h3>{_table(head, cells)}</div>")
        parts.append("</div>")
    return parts


def _level(row):
    return f"stride {row['stride']}, size {', '.join(f'{size:g}' for size in row['sizes'])}"


def _fit(row):
    return ["-", "-"] if row["mean"] is None else [f"{row['mean']:.2f}", percent(row["below_half"])]


def _picture(title, picture):
    if picture is None:
        return []
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return [
        f"<h2>{_text(title)}</h2>",
        f'<img alt="{_text(title)}" width="{picture.width}" height="{picture.height}" '
        f'src="data:image/jpeg;base64,{data}">',
    ]
