"""Faster R-CNN on `keras_resnet` backbones for Keras 3."""

import importlib

# Imported on first use: training needs pycocotools and matplotlib, serving does not. No name may
# be that of a module, which would take its place once imported.
_HOME = {
    "AnchorGenerator": "detection.anchors",
    "BoxCoder": "detection.box_coder",
    "CascadeRoIHeads": "detection.cascade",
    "Detections": "detection.detections",
    "FasterRCNN": "detection.faster_rcnn",
    "FeaturePyramid": "detection.fpn",
    "RegionProposalNetwork": "detection.rpn",
    "RoIHeads": "detection.roi_heads",
    "TestTimeAugmentation": "detection.views",
    "build_model": "detection.build",
    "check_data": "detection.data_check",
    "export_saved_model": "detection.export",
    "load": "detection.saving",
    "load_config": "detection.config",
    "load_pretrained": "detection.pretrained",
    "load_torchvision": "detection.pretrained",
    "predict_dataset": "detection.predict",
    "save_model": "detection.saving",
    "train_detector": "detection.train",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'detection' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
    return [*globals(), *__all__]
