"""Evaluation of detections; knows neither the model nor the data readers."""

from detection.evaluation.coco import evaluate_coco
from detection.evaluation.confidence import confidence_curves
from detection.evaluation.confusion import confusion_matrix
from detection.evaluation.errors import error_breakdown
from detection.evaluation.report import evaluate, summary_table, write_metrics, write_results
from detection.evaluation.results import to_coco_results
from detection.evaluation.voc import evaluate_voc, voc_average_precision

__all__ = [
    "confidence_curves",
    "confusion_matrix",
    "error_breakdown",
    "evaluate",
    "evaluate_coco",
    "evaluate_voc",
    "summary_table",
    "to_coco_results",
    "voc_average_precision",
    "write_metrics",
    "write_results",
]
