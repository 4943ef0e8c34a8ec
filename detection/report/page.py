"""Assembles `report.html`."""

import json
import math
from html import escape
from importlib import resources
from pathlib import Path

from detection.evaluation import confidence_curves, error_breakdown
from detection.report.charts import line_chart
from detection.report.gallery import best_threshold, choose, judge, picture
from detection.report.machine import describe_machine
from detection.report.tables import class_table, error_table, facts, figure, figures_table
from keras_resnet.training.results import read_results
from keras_resnet.training.verified_folder import write_file

REPORT_FILE = "report.html"
_LOSSES = "train/"


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
        "threshold": round(math.floor(100 * threshold) / 100, 2),
        "worst": [picture(image, dataset, class_of) for image in worst],
        "best": [picture(image, dataset, class_of) for image in best],
    }
    title = folder.resolve().name
    body = [
        _header(title, dataset, metrics),
        _tiles(metrics),
        _section("Training", _training_charts(folder / "results.csv")),
        _section("Figures", figures_table(metrics)),
        _section("Classes", class_table(metrics)),
        _section(
            "Precision and recall at IoU 0.5",
            _pr_chart(metrics, threshold, f1, confidence_curves(ground_truth, results)),
        ),
        _section(
            "Errors",
            error_table(breakdown)
            + "<p class='note'>What the AP50 would gain if all errors of one kind, and no others, "
            "were put right (Bolya et al. 2020). The gains do not add up.</p>",
        ),
        _section("Images", _gallery(data)),
        _section("Configuration and machine", _configuration(folder / "config.yaml")),
    ]
    path = folder / REPORT_FILE
    page = _page(title, "".join(body), data)
    write_file(path, page.encode())
    return path


def _page(title, body, data):
    files = resources.files("detection.report")
    style = (files / "style.css").read_text(encoding="utf-8")
    script = (files / "page.js").read_text(encoding="utf-8")
    # Inside a script only "<" can end it early; names in the data may be anything.
    content = json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f'{body}\n</main>\n<script type="application/json" id="data">{content}</script>\n'
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _section(title, content):
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _header(title, dataset, metrics):
    parts = [f"{escape(str(dataset.name))}: {len(dataset):,} images"]
    if metrics.get("seconds") is not None:
        parts.append(f"{metrics['seconds'] / 60:.1f} minutes")
    return f"<header><h1>{escape(title)}</h1><p>{', '.join(parts)}</p></header>"


def _tiles(metrics):
    rows = [
        ("AP", figure(metrics["AP"])),
        ("AP50", figure(metrics["AP50"])),
        ("AP75", figure(metrics["AP75"])),
        ("VOC07 mAP", figure(metrics["mAP07"])),
        ("objects", f"{metrics['num_objects']:,}"),
        ("detections", f"{metrics['num_detections']:,}"),
    ]
    tiles = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for name, value in rows)
    return f'<div class="tiles">{tiles}</div>'


def _training_charts(path):
    if not path.is_file():
        return ""
    rows = read_results(path)
    columns = {name: [_float(row.get(name)) for row in rows] for name in (rows[0] if rows else ())}
    epochs = columns.get("epoch", [])

    def chosen(prefix):
        return {
            name.removeprefix(prefix).replace("_", " "): (epochs, values)
            for name, values in columns.items()
            if name.startswith(prefix)
        }

    charts = [
        line_chart("Losses", "epoch", chosen(_LOSSES)),
        line_chart("Validation", "epoch", chosen("metrics/"), y_range=(0.0, 1.0)),
        line_chart(
            "Learning rate", "epoch", {"lr": (epochs, columns["lr"])} if "lr" in columns else {}
        ),
    ]
    charts = "".join(charts)
    return f'<div class="charts">{charts}</div>' if charts else ""


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
        f"of {threshold:.2f} or more.</p>"
    )
    return f'<div class="charts">{chart}</div>{note}' if chart else ""


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


def _configuration(path):
    content = facts(describe_machine().items())
    if path.is_file():
        text = escape(path.read_text(encoding="utf-8"))
        content += f"<details><summary>{path.name}</summary><pre>{text}</pre></details>"
    return content


def _float(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
