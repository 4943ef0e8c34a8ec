"""What exports of a detector say about it, and what none of them can hold."""

import importlib.metadata

from detection.multi_view import augmentation_of


def describe_model(model):
    """What holds for a detector in every format, as plain data for JSON.

    Args:
        model: a `FasterRCNN`.

    Returns:
        dict; its `architecture` is the section `model` of the configuration, or None for a model
        that was not built from one.
    """
    selection = model.roi_heads.selection
    return {
        "package_version": importlib.metadata.version("keras-resnet-detection"),
        "architecture": model.architecture,
        "categories": [dict(category) for category in model.categories],
        "class_names": list(model.class_names),
        "preprocessing": dict(model.preprocessing),
        "max_detections": selection.max_detections,
        "score_threshold": selection.score_threshold,
        "nms_threshold": selection.nms_threshold,
    }


def refuse_views(model):
    """Refuses a model that looks at several views of an image.

    Raises:
        ValueError: saying how to load it without them.
    """
    if augmentation_of(model) is not None:
        raise ValueError(
            "A served model looks at an image once: test-time augmentation cannot be exported. "
            "Load the model without it, detection.load(run, overrides=['test_time=null']), or pass "
            "--set model.test_time=null to scripts/export_saved_model.py. "
            f"Received: model.test_time={model.architecture['test_time']}"
        )
