"""Published detectors: torchvision's weights under our names."""

from detection.weights.backbone import load_backbone
from detection.weights.registry import DetectorWeights, list_detectors
from detection.weights.state import read_state

__all__ = ["DetectorWeights", "list_detectors", "load_backbone", "read_state"]
