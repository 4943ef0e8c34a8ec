"""The networks for ImageNet as functions, with pretrained weights."""

import re
from collections.abc import Callable

import keras

from keras_resnet.factory import make_factory
from keras_resnet.variants import IMAGENET_NETWORKS

_WEIGHTS = """None (random), `"imagenet"`, a name from `keras_resnet.list_weights()`, the path
            of a `.safetensors`, `.weights.h5`, `.keras` or `.h5` file, `"hf://owner/repository"`,
            or a ResNet of `keras.applications`, the model itself."""

# pattern of the name: (what it is, where it comes from)
_FAMILIES = {
    r"ResNet\d+": (
        "a residual network",
        "[He et al., 2015, table 1](https://arxiv.org/abs/1512.03385)",
    ),
    r"ResNet\d+V2": (
        "a residual network of pre-activation blocks, as in `keras.applications`",
        "[He et al., 2016](https://arxiv.org/abs/1603.05027)",
    ),
    r"ResNet\d+D": (
        "a residual network with a deep stem and average pooling on its shortcuts",
        "[He et al., 2018, section 4](https://arxiv.org/abs/1812.01187)",
    ),
    r"SEResNet\d+": (
        "a residual network with squeeze-and-excitation",
        "[Hu et al., 2017, table 1](https://arxiv.org/abs/1709.01507)",
    ),
    r"PlainNet\d+": (
        "a network without shortcuts, for comparison",
        "[He et al., 2015, figure 3, middle](https://arxiv.org/abs/1512.03385)",
    ),
}


def _make(name: str) -> Callable[..., keras.Model]:
    family = next(value for key, value in _FAMILIES.items() if re.fullmatch(key, name))
    row = IMAGENET_NETWORKS[name]
    return make_factory(
        name,
        row,
        module=__name__,
        summary=f"{family[0]}, with {row['stage_blocks']} blocks",
        reference=family[1],
        weights=_WEIGHTS,
    )


ResNet18 = _make("ResNet18")
ResNet34 = _make("ResNet34")
ResNet50 = _make("ResNet50")
ResNet101 = _make("ResNet101")
ResNet152 = _make("ResNet152")
ResNet18V2 = _make("ResNet18V2")
ResNet34V2 = _make("ResNet34V2")
ResNet50V2 = _make("ResNet50V2")
ResNet101V2 = _make("ResNet101V2")
ResNet152V2 = _make("ResNet152V2")
ResNet18D = _make("ResNet18D")
ResNet34D = _make("ResNet34D")
ResNet50D = _make("ResNet50D")
ResNet101D = _make("ResNet101D")
ResNet152D = _make("ResNet152D")
SEResNet50 = _make("SEResNet50")
SEResNet101 = _make("SEResNet101")
SEResNet152 = _make("SEResNet152")
PlainNet18 = _make("PlainNet18")
PlainNet34 = _make("PlainNet34")
