"""Plots of a run: training curves, the data set's boxes, precision-recall, confusion matrix."""

import csv
import math
import os

import numpy as np

_LINES = ("#2563eb", "#dc2626", "#16a34a", "#d97706", "#7c3aed", "#0891b2", "#db2777", "#65a30d")


def plot_results(csv_path, png_path):
    """Plots the columns of a run's `results.csv` against the epoch.

    One panel each for the columns `train/...`, `val/...`, `metrics/...` and the learning rate
    (`lr` or `lr/...`); panels without a number and other columns are left out. Cells that are
    empty, as those of epochs without evaluation, are bridged by the line.

    Args:
        csv_path: str or path of the file, with a header row.
        png_path: str or path of the picture; the suffix decides the format.

    Raises:
        ValueError: if no column can be plotted.
    """
    with open(csv_path, newline="", encoding="utf-8") as file:
        rows = [{k.strip(): v for k, v in row.items() if k} for row in csv.DictReader(file)]
    columns = {name: [_number(row.get(name)) for row in rows] for name in (rows or [{}])[0]}
    epochs = columns.get("epoch", [])
    if not epochs or not np.isfinite(epochs).all():
        epochs = list(range(len(rows)))
    panels = {"Training loss": "train/", "Validation loss": "val/", "Validation": "metrics/"}
    chosen = {
        title: {name.removeprefix(prefix): v for name, v in columns.items() if name[:n] == prefix}
        for title, prefix in panels.items()
        for n in [len(prefix)]
    }
    chosen["Learning rate"] = {
        name: values for name, values in columns.items() if name == "lr" or name.startswith("lr/")
    }
    for title, lines in chosen.items():
        chosen[title] = {name: v for name, v in lines.items() if np.isfinite(v).any()}
    chosen = {title: lines for title, lines in chosen.items() if lines}
    if not chosen:
        raise ValueError(
            "A results file needs rows and a column train/..., val/..., metrics/... or lr with "
            f"numbers. Received: {csv_path} with {len(rows)} rows, columns {list(columns)}"
        )
    figure, axes = _figure(1, len(chosen), (5.2 * len(chosen), 3.9))
    for axis, (title, lines) in zip(axes.flat, chosen.items()):
        for index, (name, values) in enumerate(lines.items()):
            x, y = _finite(epochs, values)
            name = name.replace("_", " ")
            style = {"color": _LINES[index % len(_LINES)], "linewidth": 1.8}
            if len(x) <= 30:
                style |= {"marker": "o", "markersize": 3}
            axis.plot(x, y, label=name, **style)
        axis.set_title(title)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_ylim(bottom=0)
        if title == "Validation":
            axis.set_ylim(0, 1)
        if len(lines) > 1:
            axis.legend(frameon=False, fontsize=9)
    _save(figure, png_path)


def plot_labels(ground_truth, path):
    """Plots what a data set holds: objects of each class, and the sizes of their boxes.

    Args:
        ground_truth: COCO-format dict.
        path: str or path of the picture; the suffix decides the format (`labels.jpg`).
    """
    names = {row["id"]: row.get("name", str(row["id"])) for row in ground_truth["categories"]}
    counts = dict.fromkeys(names, 0)
    for row in ground_truth["annotations"]:
        counts[row["category_id"]] += 1
    shown = list(names) if len(names) <= 30 else sorted(names, key=lambda k: -counts[k])[:30]
    sizes = np.array([row["bbox"][2:] for row in ground_truth["annotations"]], "float64")
    sizes = sizes.reshape(-1, 2)
    sizes = sizes[(sizes > 0).all(axis=1)]

    figure, axes = _figure(1, 3, (15, max(4.2, 0.24 * len(shown) + 1.2)))
    bars, scatter, histogram = axes.flat
    values = [counts[key] for key in shown]
    drawn = bars.barh(range(len(shown)), values, color=_LINES[0])
    bars.bar_label(drawn, labels=[f"{value:,}" for value in values], padding=3, fontsize=8)
    bars.set_yticks(range(len(shown)), [_shorten(names[key]) for key in shown], fontsize=9)
    bars.invert_yaxis()
    bars.margins(x=0.15, y=0.01)
    bars.grid(axis="y", visible=False)
    few = f", the {len(shown)} most frequent of {len(names)} classes" * (len(shown) < len(names))
    images = len(ground_truth["images"])
    bars.set_title(f"{sum(counts.values()):,} objects in {images:,} images{few}", fontsize=11)

    side = np.sqrt(np.prod(sizes, axis=1))
    if len(sizes):
        alpha = min(0.6, max(0.05, 300 / len(sizes)))
        scatter.scatter(*sizes.T, s=8, color=_LINES[0], alpha=alpha, linewidths=0)
        limit = 1.05 * sizes.max()
        scatter.set_xlim(0, limit)
        scatter.set_ylim(0, limit)
        histogram.hist(side, bins=min(40, 5 + len(side) // 4), color=_LINES[0])
        inside = [bound for bound in (32, 96) if side.min() < bound < side.max()]
        for bound in inside:
            histogram.axvline(bound, color="#555555", linewidth=1, linestyle="--")
            histogram.annotate(
                f" {bound}", (bound, 0.97), xycoords=("data", "axes fraction"), va="top", fontsize=8
            )
    scatter.set_aspect("equal", adjustable="box")
    scatter.set_title("Boxes", fontsize=11)
    scatter.set_xlabel("width in pixels")
    scatter.set_ylabel("height in pixels")
    histogram.set_title("Size of boxes (COCO: small < 32, large > 96)", fontsize=11)
    histogram.set_xlabel("square root of the area in pixels")
    histogram.set_ylabel("objects")
    _save(figure, path)


def plot_pr_curve(curves, path):
    """Plots precision against recall at IoU 0.5 for every class and their mean.

    Args:
        curves: the dict `pr_curves` of `evaluate_coco(..., curves=True)`, or a dict of metrics
            that holds it. Classes without ground truth are not drawn.
        path: str or path of the picture; the suffix decides the format.
    """
    curves = curves.get("pr_curves", curves)
    rows = [row for row in curves["per_class"] if row["precision"] is not None]
    recall = np.asarray(curves["recall"])
    figure, axes = _figure(1, 1, (7.6, 5))
    axis = axes.flat[0]
    names = [f"{_shorten(row['name'])}  {row['AP50']:.3f}" for row in rows]
    _plot_classes(axis, recall, [row["precision"] for row in rows], names)
    if rows:
        mean = np.mean([row["precision"] for row in rows], axis=0)
        label = f"mean of {len(rows)}  {mean.mean():.3f}"
        axis.plot(recall, mean, color="#111827", linewidth=2.6, label=label)
        axis.legend(
            title="AP50", frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1)
        )
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("recall")
    axis.set_ylabel("precision")
    axis.set_title("Precision and recall at IoU 0.5")
    _save(figure, path)


def _plot_classes(axis, x, curves, names):
    """A line for each class; where there are too many to tell apart, all grey."""
    few = len(curves) <= len(_LINES)
    for index, (y, name) in enumerate(zip(curves, names)):
        style = {"color": "#9ca3af", "linewidth": 0.8}
        if few:
            style = {"color": _LINES[index], "linewidth": 1.4, "label": name}
        axis.plot(x, y, **style)


_CONFIDENCE = {"precision": "Precision", "recall": "Recall", "f1": "F1"}


def plot_confidence_curve(curves, kind, path):
    """Plots precision, recall or F1 at IoU 0.5 against the least confidence of detections.

    Args:
        curves: what `detection.evaluation.confidence_curves` returned. Classes without objects
            are not drawn.
        kind: `"precision"`, `"recall"` or `"f1"`.
        path: str or path of the picture; the suffix decides the format.

    Raises:
        ValueError: another `kind`.
    """
    if kind not in _CONFIDENCE:
        raise ValueError(f"`kind` must be one of {', '.join(_CONFIDENCE)}. Received: kind={kind!r}")
    rows = [row for row in curves["per_class"] if row[kind] is not None]
    confidence = np.asarray(curves["confidence"])
    figure, axes = _figure(1, 1, (7.6, 5))
    axis = axes.flat[0]
    names = [_shorten(row["name"]) for row in rows]
    _plot_classes(axis, confidence, [row[kind] for row in rows], names)
    if rows:
        mean = np.asarray(curves["mean"][kind])
        label = f"mean of {len(rows)}"
        if kind == "f1":
            best = int(mean.argmax())
            label += f"\nbest {mean[best]:.3f} at {confidence[best]:.2f}"
            axis.axvline(confidence[best], color="#555555", linewidth=1, linestyle="--")
        axis.plot(confidence, mean, color="#111827", linewidth=2.6, label=label)
        axis.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("least confidence of detections")
    axis.set_ylabel(_CONFIDENCE[kind])
    axis.set_title(f"{_CONFIDENCE[kind]} and confidence at IoU 0.5")
    _save(figure, path)


def plot_confusion_matrix(matrix, class_names, path, normalized=False):
    """Plots a confusion matrix, coloured by the share of the true class.

    Args:
        matrix: int array `[K + 1, K + 1]` as `detection.evaluation.confusion_matrix` returns it.
        class_names: sequence of K names.
        path: str or path of the picture; the suffix decides the format.
        normalized: bool, whether cells show the share of their row instead of the count.

    Raises:
        ValueError: if the matrix does not fit the names.
    """
    matrix = np.asarray(matrix)
    names = [_shorten(str(name)) for name in class_names] + ["background"]
    if matrix.shape != (len(names), len(names)):
        raise ValueError(
            "`matrix` must have a row and a column for every class and one for background. "
            f"Received: shape {matrix.shape} with {len(names) - 1} class names"
        )
    total = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.maximum(total, 1)
    side = min(24.0, max(5.0, 0.55 * len(names) + 2.5))
    figure, axes = _figure(1, 1, (side + 1, side))
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
    _save(figure, path)


def _figure(rows, columns, size):
    # `Figure` without pyplot: no display, no global state, safe in threads.
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#e5e7eb", linewidth=0.8)
        axis.set_axisbelow(True)
    return figure, axes


def _save(figure, path):
    figure.savefig(os.fspath(path), facecolor="white")


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _finite(x, y):
    x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
    keep = np.isfinite(y)
    return x[keep], y[keep]


def _shorten(text, length=24):
    return text if len(text) <= length else text[: length - 1] + "…"
