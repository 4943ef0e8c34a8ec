"""Pictures of a run: what went in, what should come out, what came out."""

import numpy as np

from detection.data import numpy_batches
from detection.evaluation import confidence_curves, confusion_matrix
from detection.visualize import (
    draw_detections,
    image_grid,
    plot_confidence_curve,
    plot_confusion_matrix,
    plot_pr_curve,
    plot_results,
)

_ROWS = 16  # images on one contact sheet
_MIN_SCORE = 0.3


def draw_training_batches(batches, categories, folder, count=3):
    """Writes `train_batch0.jpg` …: images and boxes as the model gets them.

    Args:
        batches: training batches.
        categories: sequence of `{"id", "name"}`.
        folder: `pathlib.Path` to write to.
        count: int, how many batches.
    """
    names = [category["name"] for category in categories]
    source = numpy_batches(batches)
    for number in range(count):
        x, y = next(source)
        pictures = []
        for image, size, boxes, classes in zip(
            x["images"][:_ROWS], x["image_sizes"], y["boxes"], y["classes"]
        ):
            real = classes >= 0
            image = np.clip(image[: size[0], : size[1]], 0, 255).astype("uint8")
            pictures.append(draw_detections(image, boxes[real], classes[real], class_names=names))
        image_grid(pictures).save(folder / f"train_batch{number}.jpg", quality=85)


def draw_validation(dataset, results, folder, count):
    """Writes `val_batch*_labels.jpg` and `_pred.jpg` for the first images of a data set.

    Args:
        dataset: a `DetectionDataset`.
        results: list of COCO results on it.
        folder: `pathlib.Path` to write to.
        count: int, images to draw.

    Returns:
        List of the paths written.
    """
    names = list(dataset.class_names)
    index_of = {category.id: i for i, category in enumerate(dataset.categories)}
    by_image = {}
    for result in results:
        by_image.setdefault(result["image_id"], []).append(result)
    paths = []
    for batch, first in enumerate(range(0, min(count, len(dataset)), _ROWS)):
        labels, predictions = [], []
        for index in range(first, min(first + _ROWS, count, len(dataset))):
            record, image = dataset.records[index], dataset.read_image(index)
            labels.append(draw_detections(image, record.boxes, record.classes, class_names=names))
            found = by_image.get(record.image_id, [])
            boxes = np.array([r["bbox"] for r in found], "float32").reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            predictions.append(
                draw_detections(
                    image,
                    boxes,
                    [index_of[r["category_id"]] for r in found],
                    [r["score"] for r in found],
                    class_names=names,
                    min_score=_MIN_SCORE,
                )
            )
        for kind, pictures in (("labels", labels), ("pred", predictions)):
            paths.append(folder / f"val_batch{batch}_{kind}.jpg")
            image_grid(pictures).save(paths[-1], quality=85)
    return paths


def plot_run(folder, metrics, ground_truth, results, categories):
    """Writes the curves and the confusion matrix of a run.

    `results.png`; `PR_curve.png`, and `P_curve.png`, `R_curve.png` and `F1_curve.png` against the
    confidence; `confusion_matrix.png` and `confusion_matrix_normalized.png`.

    Args:
        folder: run folder with `results.csv`.
        metrics: what `evaluate(..., curves=True)` returned.
        ground_truth: COCO-format dict.
        results: list of COCO results.
        categories: sequence of `{"id", "name"}`.
    """
    plot_results(folder / "results.csv", folder / "results.png")
    plot_pr_curve(metrics, folder / "PR_curve.png")
    matrix = confusion_matrix(ground_truth, results)
    names = [category["name"] for category in categories]
    plot_confusion_matrix(matrix, names, folder / "confusion_matrix.png")
    plot_confusion_matrix(
        matrix, names, folder / "confusion_matrix_normalized.png", normalized=True
    )
    curves = confidence_curves(ground_truth, results)
    for kind, name in (("precision", "P"), ("recall", "R"), ("f1", "F1")):
        plot_confidence_curve(curves, kind, folder / f"{name}_curve.png")
