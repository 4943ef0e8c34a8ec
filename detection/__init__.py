"""Faster R-CNN on `keras_resnet` backbones for Keras 3."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detection.anchors import AnchorGenerator as AnchorGenerator
    from detection.box_coder import BoxCoder as BoxCoder
    from detection.build import build_model as build_model
    from detection.cascade import CascadeRoIHeads as CascadeRoIHeads
    from detection.config import load_config as load_config
    from detection.data_check import check_data as check_data
    from detection.detections import Detections as Detections
    from detection.export import export_saved_model as export_saved_model
    from detection.faster_rcnn import FasterRCNN as FasterRCNN
    from detection.fpn import FeaturePyramid as FeaturePyramid
    from detection.from_torchvision import load_torchvision as load_torchvision
    from detection.predict import predict_dataset as predict_dataset
    from detection.pretrained import load_pretrained as load_pretrained
    from detection.roi_heads import RoIHeads as RoIHeads
    from detection.rpn import RegionProposalNetwork as RegionProposalNetwork
    from detection.saving import load as load
    from detection.saving import save_model as save_model
    from detection.train import train_detector as train_detector
    from detection.views import TestTimeAugmentation as TestTimeAugmentation

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
    "load_torchvision": "detection.from_torchvision",
    "predict_dataset": "detection.predict",
    "save_model": "detection.saving",
    "train_detector": "detection.train",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'detection' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
