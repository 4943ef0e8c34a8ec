"""Line charts as SVG inside a page."""

import math
from html import escape

_COLORS = ("#2563eb", "#dc2626", "#16a34a", "#d97706", "#7c3aed", "#0891b2", "#db2777", "#65a30d")
_WIDTH, _HEIGHT = 420, 256
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 36
_MOST_IN_LEGEND = 8


def line_chart(title, x_label, lines, y_range=None):
    """A chart with a legend.

    Args:
        title: str.
        x_label: str, under the horizontal axis.
        lines: dict of name to `(xs, ys)`, lists of numbers; points that are not finite are left
            out. Beyond eight lines they are thin and have no legend; their names show under the
            pointer.
        y_range: `(low, high)`, or None for 0 to what the lines need.

    Returns:
        str of HTML, empty if there is not one point.
    """
    lines = {name: _finite(*points) for name, points in lines.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return ""
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    x_ticks = _ticks(min(xs), max(xs), whole=all(float(x).is_integer() for x in xs))
    y_ticks = _ticks(*(y_range or (min(0.0, *ys), max(ys))))
    left, right = x_ticks[0], x_ticks[-1]
    low, high = y_ticks[0], y_ticks[-1]

    def place(x, y):
        across = (x - left) / (right - left) if right > left else 0.5
        up = (min(max(y, low), high) - low) / (high - low)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = []
    for tick in y_ticks:
        _, y = place(left, tick)
        ends = f'x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
        parts.append(f'<line class="grid" {ends}/>')
        parts.append(_text(_LEFT - 6, y + 4, "end", _number(tick)))
    for tick in x_ticks:
        x, _ = place(tick, low)
        parts.append(_text(x, _HEIGHT - _BOTTOM + 16, "middle", _number(tick)))
    many = len(lines) > _MOST_IN_LEGEND
    for index, (name, points) in enumerate(lines.items()):
        color = _COLORS[index % len(_COLORS)]
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in points)
        width = 1 if many else 2
        label = f"<title>{escape(name)}</title>"
        if len(points) == 1:
            x, y = place(*points[0])
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}">{label}</circle>')
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}">'
            f"{label}</polyline>"
        )
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 5, "middle", x_label))
    legend = ""
    if len(lines) > 1 and not many:
        items = (
            f'<li><span style="background:{_COLORS[i]}"></span>{escape(name)}</li>'
            for i, name in enumerate(lines)
        )
        legend = f'<ul class="legend">{"".join(items)}</ul>'
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>{legend}</figure>"
    )


def _text(x, y, anchor, text):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _finite(xs, ys):
    return [
        (x, y)
        for x, y in zip(xs, ys)
        if x is not None and y is not None and math.isfinite(x) and math.isfinite(y)
    ]


def _ticks(low, high, whole=False, count=5):
    """Round numbers from `low` or less to `high` or more."""
    if high <= low:
        high = low + 1.0
    rough = (high - low) / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _number(value):
    return f"{value:.6g}" if not value or abs(value) >= 1e-4 else f"{value:.0e}"
