"""One dict of all figures, as text for people and as JSON for programs."""

import json
import math
import os
import secrets
import textwrap

import numpy as np

from detection.evaluation.coco import FIGURES, evaluate_coco
from detection.evaluation.voc import evaluate_voc

_MEANINGS = {
    "AP": "AP    IoU 0.50:0.95",
    "AP50": "AP50  IoU 0.50",
    "AP75": "AP75  IoU 0.75",
    "APs": "APs   small objects",
    "APm": "APm   medium objects",
    "APl": "APl   large objects",
}


def evaluate(ground_truth, results, max_dets=(1, 10, 100), curves=False):
    """Computes the figures of COCO and of Pascal VOC together.

    Args:
        ground_truth: COCO-format dict, see `evaluate_coco` and `evaluate_voc`.
        results: list of COCO results.
        max_dets: three ints, see `evaluate_coco`.
        curves: bool. Whether to add `pr_curves`, see `evaluate_coco`.

    Returns:
        A dict with COCO's twelve figures, `mAP07` and `mAP_area` at IoU 0.5, `num_images`,
        `num_objects` (without crowds), `num_detections`, and `per_class`, a list of dicts with
        `category_id, name, AP, AP50, AP07, AP_area, num_objects, num_detections`. A figure that
        has no ground truth is -1.0.

    Example:

    >>> empty = {"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    >>> evaluate(empty, [])["AP"]
    -1.0
    """
    metrics = evaluate_coco(ground_truth, results, max_dets, curves)
    voc = evaluate_voc(ground_truth, results)
    per_class, extra = metrics.pop("per_class"), {}
    if curves:
        extra["pr_curves"] = metrics.pop("pr_curves")
    for row, other in zip(per_class, voc["per_class"]):
        row.update(AP07=other["AP07"], AP_area=other["AP_area"])
    return {
        **metrics,
        "mAP07": voc["mAP07"],
        "mAP_area": voc["mAP_area"],
        "num_images": len(ground_truth["images"]),
        "num_objects": sum(row["num_objects"] for row in per_class),
        "num_detections": len(results),
        "per_class": per_class,
        **extra,
    }


def summary_table(metrics):
    """Formats the result of `evaluate` as text at most 80 columns wide.

    Args:
        metrics: dict as `evaluate` returns it. Figures without ground truth show as a dash.

    Returns:
        The text, without a final newline. The entry `expected`, if there is one, is a dict of
        figures by name with the keys `tolerance` and `source`, and is compared with them, unless
        it has `not_comparable`, what differs.

    Example:

    >>> empty = {"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    >>> print(summary_table(evaluate(empty, [])).splitlines()[0])
    1 image, 0 objects, 0 detections
    """
    recalls = [name for name in metrics if name.startswith("AR")]
    counts = [
        _count(metrics["num_images"], "image"),
        _count(metrics["num_objects"], "object"),
        _count(metrics["num_detections"], "detection"),
    ]
    lines = [", ".join(counts), ""]
    for precision, recall in zip(FIGURES, recalls):
        left = f"{_MEANINGS[precision]:<24}{_figure(metrics[precision]):>6}"
        lines.append(f"{left}    {_recall_meaning(recall):<30}{_figure(metrics[recall]):>6}")
    left = f"{'VOC07 mAP, 11 points':<24}{_figure(metrics['mAP07']):>6}"
    lines += [f"{left}    {'VOC mAP, area under curve':<30}{_figure(metrics['mAP_area']):>6}", ""]
    if metrics.get("expected"):
        lines += [*_expectations(metrics, **metrics["expected"]), ""]

    columns = ("AP", "AP50", "AP07", "AP_area")
    names = [_shorten(row["name"], 28) for row in metrics["per_class"]]
    width = max([len(name) for name in names] + [len("class")])
    titles = ("AP", "AP50", "VOC07", "VOC area")
    heading = "".join(f"{title:>10}" for title in titles)
    lines.append(f"{'class':<{width}}{heading}{'objects':>10}")
    for name, row in zip(names, metrics["per_class"]):
        figures = "".join(f"{_figure(row[column]):>10}" for column in columns)
        lines.append(f"{name:<{width}}{figures}{row['num_objects']:>10}")
    return "\n".join(line.rstrip() for line in lines)


def _expectations(metrics, tolerance, source, not_comparable=None, **figures):
    if not_comparable:
        yield f"expected of {source}: not comparable, for these differ:"
        yield from textwrap.wrap(
            not_comparable, 80, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
        return
    yield f"expected of {source}, within {tolerance:.3f}"
    for name, value in figures.items():
        found = metrics[name]
        difference = round(found - value, 6)
        within = "within" if abs(difference) <= tolerance else ("above", "below")[difference < 0]
        verdict = "not measured" if _figure(found) == "-" else within
        yield f"  {name:<6}{value:.3f}, measured {_figure(found)}: {verdict}"


def write_metrics(path, metrics):
    """Writes a dict of figures as strict JSON, whole or not at all.

    NumPy numbers and arrays become plain ones; NaN and infinity, which JSON lacks, become null.
    The curves (`pr_curves`), made for plots, are left out.

    Args:
        path: str or path of the file; its folder must exist.
        metrics: dict, nested dicts and lists allowed.
    """
    metrics = {key: value for key, value in metrics.items() if key != "pr_curves"}
    _write_json(path, _strict(metrics), indent=2)


def write_results(path, results):
    """Writes COCO results (`predictions.json`) as pycocotools' `loadRes` reads them.

    Args:
        path: str or path of the file; its folder must exist.
        results: list of COCO results. Nothing is rounded, so that the figures can be computed
            from the file again to the last digit.

    Raises:
        ValueError: if a number is not finite.
    """
    rows = []
    for row in results:
        numbers = [*row["bbox"], row["score"]]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"Results must be finite numbers. Received: {row}")
        rows.append(_strict(row))
    _write_json(path, rows)


def _strict(value):
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _strict(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_json(path, value, indent=None):
    # Written beside its place and renamed, so that no reader ever sees half a file.
    temporary = f"{os.fspath(path)}.{os.getpid()}.{secrets.token_hex(6)}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            json.dump(value, file, indent=indent, allow_nan=False, ensure_ascii=False)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _recall_meaning(name):
    sizes = {"s": "small objects", "m": "medium objects", "l": "large objects"}
    rest = name[2:]
    if rest in sizes:
        return f"{name:<6}{sizes[rest]}"
    return f"{name:<6}{_count(int(rest), 'detection')} an image"


def _figure(value):
    if value is None or math.isnan(value) or value < 0:
        return "-"
    return f"{value:.3f}"


def _count(number, noun):
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _shorten(text, length):
    return text if len(text) <= length else text[: length - 1] + "…"
