"""What a run leaves behind when training has ended: figures, plots, page."""

import numpy as np

from keras_resnet.classification.report import write_plots, write_report
from keras_resnet.report.page import attempt
from keras_resnet.training import strict_json
from keras_resnet.training.results import read_results
from keras_resnet.training.verified_folder import write_file
from keras_resnet.training.write_errors import writing


def write_outputs(config, logs, folder, seconds, dataset, predictions, say):
    """Writes `metrics.json`, the plots and `report.html` of a run that has ended.

    The run is done and saved: if a plot or the page cannot be made, that is only said.

    Args:
        config: a `ClassifierConfig`.
        logs: dict, the figures of the last epoch.
        folder: pathlib.Path, the run folder.
        seconds: float, duration of the run.
        dataset: the `ImageDataset` it was evaluated on.
        predictions: the `Predictions` of the last epoch's weights on it.
        say: callable that prints a line.

    Returns:
        Dict of figures, as in `metrics.json`.

    Raises:
        WriteError: `metrics.json` cannot be written.
    """
    metrics = _metrics(config, logs, folder, seconds)
    write_plots_and_page(folder, dataset, predictions, metrics, say)
    return metrics


def write_plots_and_page(folder, dataset, predictions, metrics, say, about=()):
    """Writes the plots and `report.html`, or says why not; arguments as for `write_report`."""
    attempt("plots", lambda: write_plots(folder, dataset, predictions), say)
    page = attempt(
        "report.html", lambda: write_report(folder, dataset, predictions, metrics, about), say
    )
    if page is not None:
        say(f"page        {page}")


def _metrics(config, logs, folder, seconds):
    metrics = {k.removeprefix("val_"): v for k, v in logs.items() if k.startswith("val_")}
    metrics["train_accuracy"], metrics["train_loss"] = logs["accuracy"], logs["loss"]
    rows = [row for row in read_results(folder / "results.csv") if row.get("val/accuracy")]
    metrics["best_accuracy"] = max(float(row["val/accuracy"]) for row in rows)
    if config.published is not None and config.published.top1 is not None:
        metrics["published_accuracy"] = config.published.top1
    metrics["seconds"] = round(seconds, 1)
    # The loss of an evaluation may overflow where that of training did not.
    metrics = {k: float(v) if np.isfinite(v) else None for k, v in metrics.items()}
    with writing(folder / "metrics.json"):
        write_file(folder / "metrics.json", strict_json.dumps(metrics))
    return metrics
