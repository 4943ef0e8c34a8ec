"""Plots of a run: training curves, the data set's boxes, precision-recall, confusion matrix."""

import numpy as np

from keras_resnet.analysis.figures import COLORS, finish, new_figure
from keras_resnet.report import plots
from keras_resnet.report.curves import read_columns, with_prefix
from keras_resnet.report.plots import plot_panels, shorten


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
    columns = read_columns(csv_path)
    epochs = columns["epoch"]
    groups = {"Training loss": "train/", "Validation loss": "val/", "Validation": "metrics/"}
    chosen = {title: with_prefix(columns, prefix) for title, prefix in groups.items()}
    rates = {k: v for k, v in columns.items() if k == "lr" or k.startswith("lr/")}
    panels = {
        title: {name: (epochs, values) for name, values in lines.items()}
        for title, lines in {**chosen, "Learning rate": rates}.items()
    }
    if not plot_panels(panels, png_path):
        raise ValueError(
            "A results file needs rows and a column train/..., val/..., metrics/... or lr with "
            f"numbers. Received: {csv_path} with {len(epochs)} rows, columns {list(columns)}"
        )


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

    figure, axes = new_figure(1, 3, (15, max(4.2, 0.24 * len(shown) + 1.2)))
    bars, scatter, histogram = axes.flat
    values = [counts[key] for key in shown]
    drawn = bars.barh(range(len(shown)), values, color=COLORS[0])
    bars.bar_label(drawn, labels=[f"{value:,}" for value in values], padding=3, fontsize=8)
    bars.set_yticks(range(len(shown)), [shorten(names[key]) for key in shown], fontsize=9)
    bars.invert_yaxis()
    bars.margins(x=0.15, y=0.01)
    bars.grid(axis="y", visible=False)
    few = f", the {len(shown)} most frequent of {len(names)} classes" * (len(shown) < len(names))
    images = len(ground_truth["images"])
    bars.set_title(f"{sum(counts.values()):,} objects in {images:,} images{few}", fontsize=11)

    side = np.sqrt(np.prod(sizes, axis=1))
    if len(sizes):
        alpha = min(0.6, max(0.05, 300 / len(sizes)))
        scatter.scatter(*sizes.T, s=8, color=COLORS[0], alpha=alpha, linewidths=0)
        limit = 1.05 * sizes.max()
        scatter.set_xlim(0, limit)
        scatter.set_ylim(0, limit)
        histogram.hist(side, bins=min(40, 5 + len(side) // 4), color=COLORS[0])
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
    finish(figure, path)


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
    figure, axes = new_figure(1, 1, (7.6, 5))
    axis = axes.flat[0]
    names = [f"{shorten(row['name'])}  {row['AP50']:.3f}" for row in rows]
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
    finish(figure, path)


def _plot_classes(axis, x, curves, names):
    """A line for each class; where there are too many to tell apart, all grey."""
    few = len(curves) <= len(COLORS)
    for index, (y, name) in enumerate(zip(curves, names)):
        style = {"color": "#9ca3af", "linewidth": 0.8}
        if few:
            style = {"color": COLORS[index], "linewidth": 1.4, "label": name}
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
    figure, axes = new_figure(1, 1, (7.6, 5))
    axis = axes.flat[0]
    names = [shorten(row["name"]) for row in rows]
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
    finish(figure, path)


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
    if np.shape(matrix) != (len(class_names) + 1,) * 2:
        raise ValueError(
            "`matrix` must have a row and a column for every class and one for background. "
            f"Received: shape {np.shape(matrix)} with {len(class_names)} class names"
        )
    plots.plot_confusion_matrix(matrix, [*class_names, "background"], path, normalized)
