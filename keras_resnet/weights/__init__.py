"""Pretrained weights: the registry of published ones, and loading by name, file or repository."""

from keras_resnet.weights.load import load_weights
from keras_resnet.weights.registry import WeightsInfo, list_weights, weights_info
from keras_resnet.weights.registry import list_rows as list
from keras_resnet.weights.torchvision import save_safetensors, torchvision_names

__all__ = [
    "WeightsInfo",
    "list",
    "list_weights",
    "load_weights",
    "save_safetensors",
    "torchvision_names",
    "weights_info",
]
