"""Pretrained weights: the registry of published ones, and loading by name, file or repository."""

from keras_resnet.weights.load import load_weights
from keras_resnet.weights.registry import WeightsInfo, list_weights, weights_info
from keras_resnet.weights.torchvision import torchvision_names

__all__ = ["WeightsInfo", "list_weights", "load_weights", "torchvision_names", "weights_info"]
