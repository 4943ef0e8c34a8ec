"""Assembles the `report.html` of a classifier."""

from importlib import resources
from pathlib import Path

from keras_resnet.classification.report.counts import count_classes
from keras_resnet.classification.report.gallery import gallery
from keras_resnet.classification.report.plots import TOP_FIVE, panels
from keras_resnet.classification.report.tables import class_table, confusions
from keras_resnet.report.charts import line_chart
from keras_resnet.report.curves import read_columns
from keras_resnet.report.page import charts, configuration, header, section, tiles, write_page

_LAST = (
    "<p class='note'>Classes, confusions and images are those of the last epoch's weights "
    "(weights/last). The best epoch (weights/best, which other scripts take) was chosen by these "
    "very images, so its figure is too good by a little.</p>"
)


def write_report(folder, dataset, predictions, metrics, about=(), pictures=12):
    """Writes the page of a classifier: figures, curves, classes, confusions and pictures.

    The page needs no network and no other file. What the folder holds of `config.yaml` and
    `results.csv` is shown too; without them their parts are left out.

    Args:
        folder: folder of the run, or of an evaluation; `report.html` is written there.
        dataset: the `ImageDataset` evaluated on. Only images that are shown are read.
        predictions: the `Predictions` on it.
        metrics: dict of floats `loss`, `accuracy` and `top5`, as an evaluation returns it; and
            `best_accuracy`, `published_accuracy` and `seconds` where they are known.
        about: sequence of `(name, value)`, told beside the configuration.
        pictures: int, most images among the wrong and among the right ones, 0 for none.

    Returns:
        `pathlib.Path` of the page.

    Raises:
        ValueError: `pictures` is negative, or an image cannot be read.

    Example:
    ```python
    rows = []
    metrics = evaluate_views(model, dataset, make_views("one-crop"), rows=rows)
    write_report("runs/a", dataset, Predictions.of_batches(rows), metrics)
    ```
    """
    if not isinstance(pictures, int) or pictures < 0:
        raise ValueError(f"`pictures` must be an int, 0 or positive. Received: {pictures!r}")
    folder, names = Path(folder), dataset.class_names
    counts = count_classes(predictions, len(names))
    title = folder.resolve().name
    body = [
        header(title, dataset.name, len(predictions.labels), metrics.get("seconds")),
        _tiles(metrics, len(names), len(predictions.labels)),
        _LAST if "best_accuracy" in metrics else "",
        section("Training", _curves(folder / "results.csv", len(names))),
        section("Classes", class_table(counts, names)),
        section("Confusions", confusions(counts, names)),
        section("Images", gallery(dataset, predictions, pictures)),
        section("Configuration and machine", configuration(folder, about)),
    ]
    style = resources.files("keras_resnet.classification.report") / "style.css"
    return write_page(folder, title, "".join(body), style=style.read_text(encoding="utf-8"))


def _tiles(metrics, classes, images):
    # A run has two sets of weights; an evaluation has one.
    last = ", last epoch" if "best_accuracy" in metrics else ""
    rows = [(f"top-1 accuracy{last}", _digits(metrics["accuracy"]))]
    if classes >= TOP_FIVE:
        rows.append((f"top-5 accuracy{last}", _digits(metrics["top5"])))
    rows.append((f"loss{last}", _digits(metrics["loss"])))
    known = {"best_accuracy": "top-1, best epoch", "published_accuracy": "top-1, published"}
    rows += [(meaning, _digits(metrics[key])) for key, meaning in known.items() if key in metrics]
    return tiles([*rows, ("classes", f"{classes:,}"), ("images", f"{images:,}")])


def _digits(value):
    return "-" if value is None else f"{value:.4f}"


def _curves(path, classes):
    if not path.is_file():
        return ""
    return charts(
        line_chart(title, "epoch", lines, (0.0, 1.0) if title == "Accuracy" else None)
        for title, lines in panels(read_columns(path), classes).items()
    )
