"""Residual networks of He et al. 2015 for Keras 3."""

from keras_resnet.blocks import BasicBlock, BottleneckBlock
from keras_resnet.features import feature_extractor, feature_info, freeze
from keras_resnet.models import ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from keras_resnet.normalization import BatchNormalization, FrozenBatchNormalization
from keras_resnet.resnet import ResNet
from keras_resnet.stem import Stem

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
    "feature_extractor",
    "feature_info",
    "freeze",
]
