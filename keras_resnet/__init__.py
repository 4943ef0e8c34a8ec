"""Residual networks of He et al. 2015 for Keras 3."""

import importlib
from typing import TYPE_CHECKING, Any

from keras_resnet.blocks import BasicBlock, BottleneckBlock
from keras_resnet.cifar import (
    CifarHighway20,
    CifarHighway32,
    CifarHighway44,
    CifarHighway56,
    CifarHighway110,
    CifarHighway1202,
    CifarPlain20,
    CifarPlain32,
    CifarPlain44,
    CifarPlain56,
    CifarPlain110,
    CifarPlain1202,
    CifarResNet20,
    CifarResNet32,
    CifarResNet44,
    CifarResNet56,
    CifarResNet110,
    CifarResNet1202,
)
from keras_resnet.features import feature_extractor, feature_info, freeze
from keras_resnet.models import (
    PlainNet18,
    PlainNet34,
    ResNet18,
    ResNet18D,
    ResNet18V2,
    ResNet34,
    ResNet34D,
    ResNet34V2,
    ResNet50,
    ResNet50D,
    ResNet50V2,
    ResNet101,
    ResNet101D,
    ResNet101V2,
    ResNet152,
    ResNet152D,
    ResNet152V2,
    SEResNet50,
    SEResNet101,
    SEResNet152,
)
from keras_resnet.normalization import (
    BatchNormalization,
    FrozenBatchNormalization,
    SyncBatchNormalization,
)
from keras_resnet.preactivation import PreActBasicBlock, PreActBottleneckBlock
from keras_resnet.preprocessing import (
    decode_predictions,
    preprocess_input,
    preprocess_input_for,
)
from keras_resnet.resnet import ResNet
from keras_resnet.squeeze_excitation import SqueezeExcitation
from keras_resnet.stem import DeepStem, Stem
from keras_resnet.weights import (
    WeightsInfo,
    list_weights,
    load_weights,
    save_safetensors,
    torchvision_names,
    weights_info,
)

if TYPE_CHECKING:
    from keras_resnet import analysis as analysis

__all__ = [
    "BasicBlock",
    "BatchNormalization",
    "BottleneckBlock",
    "CifarHighway20",
    "CifarHighway32",
    "CifarHighway44",
    "CifarHighway56",
    "CifarHighway110",
    "CifarHighway1202",
    "CifarPlain20",
    "CifarPlain32",
    "CifarPlain44",
    "CifarPlain56",
    "CifarPlain110",
    "CifarPlain1202",
    "CifarResNet20",
    "CifarResNet32",
    "CifarResNet44",
    "CifarResNet56",
    "CifarResNet110",
    "CifarResNet1202",
    "DeepStem",
    "FrozenBatchNormalization",
    "PlainNet18",
    "PlainNet34",
    "PreActBasicBlock",
    "PreActBottleneckBlock",
    "ResNet",
    "ResNet18",
    "ResNet18D",
    "ResNet18V2",
    "ResNet34",
    "ResNet34D",
    "ResNet34V2",
    "ResNet50",
    "ResNet50D",
    "ResNet50V2",
    "ResNet101",
    "ResNet101D",
    "ResNet101V2",
    "ResNet152",
    "ResNet152D",
    "ResNet152V2",
    "SEResNet50",
    "SEResNet101",
    "SEResNet152",
    "SqueezeExcitation",
    "Stem",
    "SyncBatchNormalization",
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


def __getattr__(name: str) -> Any:
    # Imported at its first use.
    if name == "analysis":
        return importlib.import_module("keras_resnet.analysis")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
