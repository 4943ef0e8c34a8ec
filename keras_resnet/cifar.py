"""The networks for CIFAR of He et al. 2015, section 4.2, their plain and highway counterparts."""

import re
from collections.abc import Callable

import keras

from keras_resnet.factory import make_factory
from keras_resnet.variants import CIFAR_NETWORKS

_WEIGHTS = """None (random), or what `keras_resnet.load_weights` loads: the path of a file, or
            `"hf://owner/repository"`."""

# pattern of the name: (what it is, where it comes from)
_FAMILIES = {
    r"CifarResNet\d+": (
        "a residual network for small images",
        "[He et al., 2015, section 4.2](https://arxiv.org/abs/1512.03385)",
    ),
    r"CifarPlain\d+": (
        "a network for small images without shortcuts, for comparison",
        "[He et al., 2015, section 4.2](https://arxiv.org/abs/1512.03385)",
    ),
    r"CifarHighway\d+": (
        "a highway network for small images with the layers of the residual one",
        "[Srivastava et al., 2015](https://arxiv.org/abs/1505.00387)",
    ),
}


def _make(name: str) -> Callable[..., keras.Model]:
    family = next(value for key, value in _FAMILIES.items() if re.fullmatch(key, name))
    row = CIFAR_NETWORKS[name]
    return make_factory(
        name,
        row,
        module=__name__,
        summary=f"{family[0]}, with {row['stage_blocks']} blocks",
        reference=family[1],
        weights=_WEIGHTS,
        size=32,
        classes=10,
    )


CifarResNet20 = _make("CifarResNet20")
CifarResNet32 = _make("CifarResNet32")
CifarResNet44 = _make("CifarResNet44")
CifarResNet56 = _make("CifarResNet56")
CifarResNet110 = _make("CifarResNet110")
CifarResNet1202 = _make("CifarResNet1202")
CifarPlain20 = _make("CifarPlain20")
CifarPlain32 = _make("CifarPlain32")
CifarPlain44 = _make("CifarPlain44")
CifarPlain56 = _make("CifarPlain56")
CifarPlain110 = _make("CifarPlain110")
CifarPlain1202 = _make("CifarPlain1202")
CifarHighway20 = _make("CifarHighway20")
CifarHighway32 = _make("CifarHighway32")
CifarHighway44 = _make("CifarHighway44")
CifarHighway56 = _make("CifarHighway56")
CifarHighway110 = _make("CifarHighway110")
CifarHighway1202 = _make("CifarHighway1202")
