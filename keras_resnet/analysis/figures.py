"""The look that the drawings of the analyses share."""

import os

COLORS = ("#2563eb", "#dc2626", "#16a34a", "#d97706", "#7c3aed", "#0891b2", "#db2777", "#65a30d")
DARK, MUTED = "#111827", "#9ca3af"


def new_figure(rows, columns, size):
    """Return a matplotlib figure that needs no display, and its axes `[rows, columns]`."""
    # `Figure` without pyplot: no global state, safe in threads.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#e5e7eb", linewidth=0.8)
        axis.set_axisbelow(True)
    return figure, axes


def finish(figure, path):
    """Write the figure to `path` unless that is None, and return it."""
    if path is not None:
        figure.savefig(os.fspath(path), facecolor="white")
    return figure


def label_bars(axis, names):
    """Name the bars 0, 1, … of the horizontal axis while there is room for their names."""
    if len(names) <= 60:
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    else:
        axis.set_xlabel(f"{names[0]} to {names[-1]}, in order")
    axis.set_xlim(-0.75, len(names) - 0.25)
    axis.grid(axis="x", visible=False)
