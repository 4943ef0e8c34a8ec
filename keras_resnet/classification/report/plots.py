"""`results.png` and `confusion_matrix.png` of a classifier."""

from keras_resnet.classification.report.counts import count_classes
from keras_resnet.report.curves import read_columns
from keras_resnet.report.plots import plot_confusion_matrix, plot_panels

_MOST_CLASSES = 100  # whose names can be read beside a matrix
TOP_FIVE = 6  # classes from which on top-5 says something


def write_plots(folder, dataset, predictions):
    """Writes `results.png` and `confusion_matrix.png`.

    Args:
        folder: `pathlib.Path` of the run; without `results.csv` in it there are no curves.
        dataset: the `ImageDataset`; beyond a hundred classes no matrix is drawn.
        predictions: the `Predictions` on it.
    """
    path = folder / "results.csv"
    if path.is_file():
        plot_panels(panels(read_columns(path), len(dataset.class_names)), folder / "results.png")
    if len(dataset.class_names) <= _MOST_CLASSES:
        names = dataset.class_names
        matrix = count_classes(predictions, len(names)).matrix()
        plot_confusion_matrix(matrix, names, folder / "confusion_matrix.png")


def panels(columns, classes):
    """The curves of a run, grouped.

    Args:
        columns: dict as `read_columns` returns it.
        classes: int.

    Returns:
        Dict of title to dict of name to `(epochs, values)`.
    """
    chosen = {
        "Loss": {"training": "train/loss", "validation": "val/loss"},
        "Accuracy": {"training": "train/accuracy", "validation": "val/accuracy"},
        "Learning rate": {"lr": "lr"},
    }
    if classes >= TOP_FIVE:
        chosen["Accuracy"]["validation, top-5"] = "val/top5"
    return {
        title: {n: (columns["epoch"], columns[c]) for n, c in names.items() if c in columns}
        for title, names in chosen.items()
    }
