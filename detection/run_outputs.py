"""What a run leaves behind when training has ended: figures, pictures, page, export."""

import time

import keras

from detection.callbacks import COLUMNS
from detection.evaluation import evaluate, summary_table, write_metrics, write_results
from detection.expectations import expectation
from detection.pictures import draw_validation, plot_run
from detection.report import write_report
from keras_resnet.report.page import attempt


def write_outputs(config, say, started, folder, logs, best, results, dataset):
    """Figures, pictures, page and export of a run that has ended, and where they are.

    Args:
        config: a `detection.config.Config`.
        say: callable that prints a line.
        started: float, `time.monotonic()` at the beginning of the run.
        folder: pathlib.Path, the run folder.
        logs: dict, the figures of the last epoch.
        best: the detector of the best epoch.
        results: list, its detections on `dataset` as COCO has them.
        dataset: the `DetectionDataset` it was validated on.

    Returns:
        Dict of figures, as in `metrics.json`.
    """
    ground_truth = dataset.to_coco()
    metrics = evaluate(ground_truth, results, curves=True)
    write_results(folder / "predictions.json", results)
    attempt("plots", lambda: plot_run(folder, metrics, ground_truth, results, best.categories), say)
    drawn = draw_validation(dataset, results, folder, config.run.pictures)
    # The best epoch was chosen on this very split; the last one was not.
    metrics["last_epoch"] = {name: logs[column] for column, name in COLUMNS.items()}
    expected = expectation(config, dataset)
    if expected is not None:
        metrics["expected"] = expected
    metrics["seconds"] = round(time.monotonic() - started, 1)
    write_metrics(folder / "metrics.json", metrics)
    attempt("report.html", lambda: write_report(folder, dataset, results, metrics), say)
    say(summary_table(metrics))
    exported = _export(config, best, dataset, folder, say)
    _say_where(folder, drawn, exported, metrics, say)
    return metrics


def _export(config, model, dataset, folder, say):
    if not config.run.export:
        return None
    if keras.backend.backend() != "tensorflow":
        say(
            "No SavedModel: it needs the TensorFlow backend. Run scripts/export_saved_model.py "
            "with KERAS_BACKEND=tensorflow on this run."
        )
        return None
    from detection.export import export_saved_model

    samples = [dataset.read_image(i) for i in range(min(2, len(dataset)))]
    # Whatever happens, the run itself is done and saved.
    return attempt(
        "SavedModel",
        lambda: export_saved_model(model, folder / "saved_model", samples=samples),
        say,
    )


def _say_where(folder, drawn, exported, metrics, say):
    rows = [
        ("run", folder),
        ("figures", folder / "metrics.json"),
        ("curves", folder / "results.png"),
        ("page", folder / "report.html"),
        ("weights", folder / "weights" / "best"),
    ]
    if drawn:
        rows.append(("drawn", drawn[-1]))
    if exported is not None:
        rows.append(("SavedModel", exported))
    say("\n".join(f"{name:<11} {path}" for name, path in rows))
    say(
        f"AP {metrics['AP']:.3f}, AP50 {metrics['AP50']:.3f} after "
        f"{metrics['seconds'] / 60:.1f} minutes"
    )
