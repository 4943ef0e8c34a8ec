"""Plots that classifiers and detectors have in common: curves of training, confusions."""

import numpy as np

from keras_resnet.analysis.figures import COLORS, finish, new_figure


def plot_panels(panels, path):
    """Plots lines over the epoch, a panel for each group of them.

    Points that are not finite are bridged by the line; lines without a point and panels without
    a line are left out.

    Args:
        panels: dict of title to dict of name to `(xs, ys)`, sequences of numbers. The panels of
            `Validation` and `Accuracy` end at 1.
        path: str or path of the picture; the suffix decides the format.

    Returns:
        bool, whether there was a line; otherwise nothing is written.
    """
    panels = {
        title: {name: line for name, line in lines.items() if np.isfinite(line[1]).any()}
        for title, lines in panels.items()
    }
    panels = {title: lines for title, lines in panels.items() if lines}
    if not panels:
        return False
    figure, axes = new_figure(1, len(panels), (5.2 * len(panels), 3.9))
    for axis, (title, lines) in zip(axes.flat, panels.items()):
        for index, (name, (xs, ys)) in enumerate(lines.items()):
            keep = np.isfinite(ys)
            style = {"color": COLORS[index % len(COLORS)], "linewidth": 1.8}
            if keep.sum() <= 30:
                style |= {"marker": "o", "markersize": 3}
            axis.plot(np.asarray(xs)[keep], np.asarray(ys)[keep], label=name, **style)
        axis.set_title(title)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_ylim(bottom=0)
        if title in ("Validation", "Accuracy"):
            axis.set_ylim(0, 1)
        if len(lines) > 1:
            axis.legend(frameon=False, fontsize=9)
    finish(figure, path)
    return True


def plot_confusion_matrix(matrix, names, path, normalized=False):
    """Plots a confusion matrix, coloured by the share of the true class.

    Args:
        matrix: int array `[K, K]`, true classes in rows, predicted ones in columns.
        names: sequence of K names.
        path: str or path of the picture; the suffix decides the format.
        normalized: bool, whether cells show the share of their row instead of the count.

    Raises:
        ValueError: if the matrix does not fit the names.
    """
    matrix = np.asarray(matrix)
    names = [shorten(str(name)) for name in names]
    if matrix.shape != (len(names), len(names)):
        raise ValueError(
            "`matrix` must have a row and a column for every name. "
            f"Received: shape {matrix.shape} with {len(names)} names"
        )
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(24.0, max(5.0, 0.55 * len(names) + 2.5))
    figure, axes = new_figure(1, 1, (side + 1, side))
    axis = axes.flat[0]
    axis.grid(visible=False)
    picture = axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(
        picture, ax=axis, aspect=max(20, len(names)), pad=0.02, label="share of the row"
    )
    small = 9 if len(names) <= 30 else 6
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=small)
    axis.set_yticks(range(len(names)), names, fontsize=small)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title("Confusion matrix" + ", shares of the true class" * normalized)
    if len(names) <= 30:
        for row, column in np.argwhere(matrix):
            color = "white" if share[row, column] > 0.55 else "#111827"
            count = f"{matrix[row, column]:,}"
            text = f"{share[row, column]:.2f}" if normalized else count
            axis.text(column, row, text, ha="center", va="center", color=color, fontsize=small)
    finish(figure, path)


def shorten(text, length=24):
    """Cuts a text that is longer than `length` characters, and shows that by an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"
