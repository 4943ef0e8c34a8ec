"""Figures of a run as HTML tables."""

from html import escape

_FIGURES = {
    "AP": "AP, IoU 0.50:0.95",
    "AP50": "AP50, IoU 0.50",
    "AP75": "AP75, IoU 0.75",
    "APs": "AP of small objects, below 32 x 32 pixels",
    "APm": "AP of medium objects",
    "APl": "AP of large objects, above 96 x 96 pixels",
    "mAP07": "VOC 2007 mAP, 11 points, IoU 0.50",
    "mAP_area": "VOC mAP, area under the curve, IoU 0.50",
}
_RECALLS = {"s": "small objects", "m": "medium objects", "l": "large objects"}
_CLASS_COLUMNS = {
    "name": "class",
    "AP": "AP",
    "AP50": "AP50",
    "AP07": "VOC07",
    "AP_area": "VOC area",
    "num_objects": "objects",
    "num_detections": "detections",
}
_KINDS = {
    "classification": "right place, wrong class",
    "localization": "right class, box too far off",
    "both": "wrong class and box too far off",
    "duplicate": "object found a second time",
    "background": "nothing is there",
    "missed": "object not found at all",
}


def table(columns, rows, sortable=False):
    """An HTML table.

    Args:
        columns: sequence of titles; all but the first are aligned to the right.
        rows: sequence of sequences; a cell is text, a number, or `(shown, sort value)`.
        sortable: bool, whether a click on a title sorts the rows.

    Returns:
        str of HTML, everything escaped.
    """
    heads = []
    for title in columns:
        inner = f"<button>{escape(title)}</button>" if sortable else escape(title)
        heads.append(f'<th scope="col">{inner}</th>')
    body = []
    for row in rows:
        cells = []
        for cell in row:
            shown, value = cell if isinstance(cell, tuple) else (cell, cell)
            cells.append(f'<td data-value="{escape(str(value))}">{escape(str(shown))}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    kind = ' class="sortable"' if sortable else ""
    return (
        # Focus lets those without a pointer scroll.
        f'<div class="scroll" tabindex="0"><table{kind}><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def figures_table(metrics):
    """COCO's and VOC's figures, and how often objects are found."""
    rows = [(meaning, figure(metrics[name])) for name, meaning in _FIGURES.items()]
    for name in metrics:
        if name.startswith("AR"):
            rest = name.removeprefix("AR")
            kind = _RECALLS.get(rest, f"{rest} detection{'' if rest == '1' else 's'} an image")
            rows.append((f"Average recall, {kind}", figure(metrics[name])))
    return table(("figure", "value"), rows)


def class_table(metrics):
    """Average precision of every class, sortable."""
    rows = []
    for entry in metrics["per_class"]:
        cells = []
        for name in _CLASS_COLUMNS:
            value = entry[name]
            if name.startswith("AP"):
                cells.append((figure(value), value))
            else:
                cells.append(value)
        rows.append(cells)
    return table(tuple(_CLASS_COLUMNS.values()), rows, sortable=True)


def error_table(breakdown):
    """Kinds of errors with the AP50 that each costs, as bars."""
    largest = max((row["cost"] for row in breakdown["kinds"].values()), default=0.0)
    rows = []
    for kind, entry in breakdown["kinds"].items():
        share = 100 * entry["cost"] / largest if largest > 0 else 0.0
        rows.append(
            f"<tr><td>{kind}<small>{_KINDS[kind]}</small></td>"
            f'<td data-title="count">{entry["count"]:,}</td>'
            f'<td data-title="AP50 it costs">{entry["cost"]:.3f}</td>'
            f'<td class="bar"><span style="width:{share:.1f}%"></span></td></tr>'
        )
    return (
        '<div class="scroll"><table class="errors"><thead><tr><th scope="col">error</th>'
        '<th scope="col">count</th><th scope="col">AP50 it costs</th><td></td></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def facts(rows):
    """Names and values as a list."""
    items = "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in rows
    )
    return f'<dl class="facts">{items}</dl>'


def figure(value):
    """Three digits, or a dash where there was nothing to measure."""
    return "-" if value is None or value != value or value < 0 else f"{value:.3f}"
