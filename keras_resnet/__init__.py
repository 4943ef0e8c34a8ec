"""Residual networks of He et al. 2015 for Keras 3."""

from keras_resnet.blocks import BasicBlock, BottleneckBlock
from keras_resnet.features import feature_extractor, feature_info, freeze
from keras_resnet.models import ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from keras_resnet.normalization import BatchNormalization, FrozenBatchNormalization
from keras_resnet.preprocessing import (
    decode_predictions,
    preprocess_input,
    preprocess_input_for,
)
from keras_resnet.resnet import ResNet
from keras_resnet.stem import Stem
from keras_resnet.weights import (
    WeightsInfo,
    list_weights,
    load_weights,
    save_safetensors,
    torchvision_names,
    weights_info,
)

__all__ = [
    "BasicBlock",
    "BatchNormalization",
    "BottleneckBlock",
    "FrozenBatchNormalization",
    "ResNet",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "Stem",
    "WeightsInfo",
    "decode_predictions",
    "feature_extractor",
    "feature_info",
    "freeze",
    "list_weights",
    "load_weights",
    "preprocess_input",
    "preprocess_input_for",
    "save_safetensors",
    "torchvision_names",
    "weights_info",
]
