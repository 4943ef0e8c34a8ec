"""The published weights that can be loaded by name."""

import dataclasses

from keras_resnet._arguments import choose
from keras_resnet.blocks import BLOCKS, ResidualBlock
from keras_resnet.variants import VARIANTS


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """What is known of one set of published weights.

    Attributes:
        name: str, as `weights=` takes it.
        architecture: str, the factory they belong to.
        repository: str, `owner/name` on the Hugging Face hub; its `model.safetensors` is read.
        stride_in: str, the variant they were trained with.
        preprocessing: str, the `style` of `preprocess_input`.
        top1: float, published ImageNet top-1 accuracy in percent, single 224 x 224 crop.
    """

    name: str
    architecture: str
    repository: str
    stride_in: str
    preprocessing: str
    top1: float


def _timm(architecture, recipe, top1):
    name = f"{architecture.lower()}.{recipe}_in1k"
    return WeightsInfo(name, architecture, f"timm/{name}", "3x3", "torch", top1)


# The first row of an architecture is its "imagenet".
_ROWS = (
    _timm("ResNet18", "tv", 69.758),
    _timm("ResNet34", "tv", 73.314),
    _timm("ResNet50", "tv", 76.130),
    _timm("ResNet101", "tv", 77.374),
    _timm("ResNet152", "tv", 78.312),
    _timm("ResNet50", "tv2", 80.858),
    _timm("ResNet101", "tv2", 81.886),
    _timm("ResNet152", "tv2", 82.284),
    _timm("ResNet18", "a1", 71.50),
    _timm("ResNet34", "a1", 76.42),
    _timm("ResNet50", "a1", 80.38),
    _timm("ResNet101", "a1", 81.49),
    _timm("ResNet152", "a1", 82.00),
)
REGISTRY = {row.name: row for row in _ROWS}


def list_weights(architecture=None):
    """Return the names that `weights=` accepts besides files and repositories.

    Args:
        architecture: str such as `"ResNet50"`, or None for all.

    Returns:
        List of str.

    Example:

    >>> keras_resnet.list_weights("ResNet18")
    ['resnet18.tv_in1k', 'resnet18.a1_in1k']
    """
    if architecture is not None:
        choose("architecture", architecture, tuple(VARIANTS))
    return [row.name for row in _ROWS if architecture in (None, row.architecture)]


def weights_info(name):
    """Return the `WeightsInfo` of one name: source, variant, preprocessing, published accuracy.

    Args:
        name: str, one of `list_weights()`.

    Raises:
        ValueError: for an unknown name.

    Example:

    >>> keras_resnet.weights_info("resnet50.tv_in1k").top1
    76.13
    """
    return REGISTRY[choose("weights", name, tuple(REGISTRY))]


def imagenet_row(model):
    """Return the row that `weights="imagenet"` means for a model."""
    blocks = [layer for layer in model.layers if isinstance(layer, ResidualBlock)]
    stages = [layer.name.split("_")[0] for layer in blocks]
    shape = tuple(stages.count(stage) for stage in dict.fromkeys(stages))
    for architecture, (stage_blocks, block) in VARIANTS.items():
        if shape == stage_blocks and all(type(layer) is BLOCKS[block] for layer in blocks):
            return next(row for row in _ROWS if row.architecture == architecture)
    raise ValueError(
        f"weights='imagenet' exists for {', '.join(VARIANTS)}. "
        f"Received: a model with blocks per stage {shape}"
    )


def check_variant(model, row):
    """Refuse a model whose tensors would fit the weights but which computes something else."""
    for layer in model.layers:
        stride_in = getattr(layer, "stride_in", row.stride_in)
        if stride_in != row.stride_in:
            raise ValueError(
                f"The weights {row.name!r} were trained with stride_in={row.stride_in!r}; build "
                f"the model with that. Received: a model with stride_in={stride_in!r}"
            )
