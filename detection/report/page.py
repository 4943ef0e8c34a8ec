"""Assembles the `report.html` of a detector."""

import math
from importlib import resources
from pathlib import Path

from detection.evaluation import confidence_curves, error_breakdown
from detection.report.gallery import best_threshold, choose, judge, picture
from detection.report.tables import class_table, error_table, figures_table
from keras_resnet.report.charts import line_chart
from keras_resnet.report.curves import read_columns, with_prefix
from keras_resnet.report.page import charts, configuration, header, section, tiles, write_page
from keras_resnet.report.tables import figure


def write_report(folder, dataset, results, metrics, pictures=8):
    """Writes the page of a run: figures, curves, errors and pictures in one file.

    The page needs no network and no other file. What the folder holds of `config.yaml` and
    `results.csv` is shown too; without them their parts are left out.

    Args:
        folder: folder of the run, or of an evaluation; `report.html` is written there.
        dataset: the `DetectionDataset` evaluated on.
        results: list of COCO results on it.
        metrics: what `evaluate(..., curves=True)` returned, with `seconds` if the duration is
            known.
        pictures: int, most images among the best and among the worst, 0 for none.

    Returns:
        `pathlib.Path` of the page.

    Raises:
        ValueError: `pictures` is negative, or a result names an image or category that the data
            set lacks.

    Example:

    ```python
    metrics = evaluate(dataset.to_coco(), results, curves=True)
    write_report("runs/quickstart", dataset, results, metrics)
    ```
    """
    if not isinstance(pictures, int) or pictures < 0:
        raise ValueError(f"`pictures` must be an int, 0 or positive. Received: {pictures!r}")
    folder = Path(folder)
    ground_truth = dataset.to_coco()
    breakdown = error_breakdown(ground_truth, results)
    judged = judge(ground_truth, results)
    threshold, f1 = best_threshold(judged)
    worst, best = choose(judged, threshold, pictures)
    class_of = {category.id: index for index, category in enumerate(dataset.categories)}
    data = {
        "classes": list(dataset.class_names),
        "threshold": _shown(threshold),
        "worst": [picture(image, dataset, class_of) for image in worst],
        "best": [picture(image, dataset, class_of) for image in best],
    }
    title = folder.resolve().name
    body = [
        header(title, dataset.name, len(dataset), metrics.get("seconds")),
        _tiles(metrics),
        section("Training", _training_charts(folder / "results.csv")),
        section("Figures", figures_table(metrics)),
        section("Classes", class_table(metrics)),
        section(
            "Precision and recall at IoU 0.5",
            _pr_chart(metrics, threshold, f1, confidence_curves(ground_truth, results)),
        ),
        section(
            "Errors",
            error_table(breakdown)
            + "<p class='note'>What the AP50 would gain if all errors of one kind, and no others, "
            "were put right (Bolya et al. 2020). The gains do not add up.</p>",
        ),
        section("Images", _gallery(data)),
        section("Configuration and machine", configuration(folder)),
    ]
    own = resources.files("detection.report")
    style = (own / "boxes.css").read_text(encoding="utf-8")
    script = (own / "boxes.js").read_text(encoding="utf-8")
    return write_page(folder, title, "".join(body), data, style, script)


def _tiles(metrics):
    return tiles(
        [
            ("AP", figure(metrics["AP"])),
            ("AP50", figure(metrics["AP50"])),
            ("AP75", figure(metrics["AP75"])),
            ("VOC07 mAP", figure(metrics["mAP07"])),
            ("objects", f"{metrics['num_objects']:,}"),
            ("detections", f"{metrics['num_detections']:,}"),
        ]
    )


def _training_charts(path):
    if not path.is_file():
        return ""
    columns = read_columns(path)

    def lines(found):
        return {name: (columns["epoch"], values) for name, values in found.items()}

    rate = {"lr": columns["lr"]} if "lr" in columns else {}
    return charts(
        [
            line_chart("Losses", "epoch", lines(with_prefix(columns, "train/"))),
            line_chart("Validation", "epoch", lines(with_prefix(columns, "metrics/")), (0.0, 1.0)),
            line_chart("Learning rate", "epoch", lines(rate)),
        ]
    )


def _shown(threshold):
    # Rounded down, so that the detection with this very score is among those shown.
    return round(math.floor(100 * threshold) / 100, 2)


def _pr_chart(metrics, threshold, f1, by_confidence):
    curves = metrics.get("pr_curves")
    if not curves:
        return ""
    recall = curves["recall"]
    lines = {
        f"{row['name']} (AP50 {figure(row['AP50'])})": (recall, row["precision"])
        for row in curves["per_class"]
        if row["precision"] is not None
    }
    chart = line_chart("Precision over recall", "recall", lines, y_range=(0.0, 1.0))
    if by_confidence["mean"] is not None:
        names = {"precision": "precision", "recall": "recall", "f1": "F1"}
        means = {
            name: (by_confidence["confidence"], by_confidence["mean"][kind])
            for kind, name in names.items()
        }
        title = "Means of the classes by least confidence"
        chart += line_chart(title, "least confidence of detections", means, y_range=(0.0, 1.0))
    note = (
        f"<p class='note'>F1 over all classes is highest, {f1:.3f}, for detections with a score "
        f"of {_shown(threshold):.2f} or more.</p>"
    )
    return charts([chart]) + note if chart else ""


def _gallery(data):
    if not data["worst"] and not data["best"]:
        return ""
    return (
        '<div class="controls"><label>Score threshold <input type="range" id="threshold" min="0" '
        f'max="1" step="0.01" value="{data["threshold"]}"></label> <output id="shown"></output>'
        '<label><input type="checkbox" id="truth" checked> ground truth</label>'
        '<span class="key"><i class="right"></i>right <i class="wrong"></i>wrong '
        '<i class="truth"></i>ground truth</span></div>'
        '<h3>Worst</h3><div class="gallery" id="worst"></div>'
        '<h3>Best</h3><div class="gallery" id="best"></div>'
    )
