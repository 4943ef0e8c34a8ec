"""Tables and lists of figures in HTML."""

from html import escape


def table(columns, rows, sortable=False):
    """An HTML table.

    Args:
        columns: sequence of titles; all but the first are aligned to the right.
        rows: sequence of sequences; a cell is text, a number, or `(shown, sort value)`, the value
            None where there is nothing to compare.
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
            value = "" if value is None else escape(str(value))
            kept = f' data-value="{value}"' if sortable else ""
            cells.append(f"<td{kept}>{escape(str(shown))}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    kind = ' class="sortable"' if sortable else ""
    return (
        # Focus lets those without a pointer scroll.
        f'<div class="scroll" tabindex="0"><table{kind}><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
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
    return "-" if _missing(value) else f"{value:.3f}"


def measured(value):
    """A cell of three digits, sorted by all of them."""
    return figure(value), None if _missing(value) else round(float(value), 6)


def _missing(value):
    return value is None or value != value or value < 0
