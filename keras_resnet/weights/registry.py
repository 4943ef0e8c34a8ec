"""The published weights that can be loaded by name."""

import dataclasses

from keras_resnet._arguments import choose
from keras_resnet.blocks import ResidualBlock
from keras_resnet.preactivation import BLOCKS
from keras_resnet.stem import DeepStem
from keras_resnet.variants import IMAGENET_NETWORKS
from keras_resnet.weights.variant import TORCHVISION, differences

KERAS_APPLICATIONS = "keras.applications"


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """What is known of one set of published weights.

    Attributes:
        name: str, as `weights=` takes it.
        architecture: str, the factory they belong to.
        source: str, `"hf://owner/name"` on the Hugging Face hub (its `model.safetensors` is
            read), or `"keras.applications"` (Keras downloads them).
        variant: str, `"v1"` (stride in the first 1x1 convolution of a bottleneck), `"v1.5"` (in
            the 3x3) or `"v2"` (pre-activation).
        preprocessing: str, the `style` of `preprocess_input`.
        top1: float, published ImageNet top-1 accuracy in percent, single 224 x 224 crop: of
            torchvision's and Keras' tables, and of the repositories' model cards for timm's.
        licence: str, under which the weights are published.
    """

    name: str
    architecture: str
    source: str
    variant: str
    preprocessing: str
    top1: float
    licence: str

    @property
    def repository(self):
        """`owner/name` on the Hugging Face hub; None for weights from elsewhere."""
        return self.source.removeprefix("hf://") if self.source.startswith("hf://") else None

    @property
    def stride_in(self):
        """The argument of `ResNet` that builds the variant."""
        return "1x1" if self.variant == "v1" else "3x3"


def _timm(architecture, recipe, top1):
    name = f"{architecture.lower()}.{recipe}_in1k"
    # What torchvision trained keeps torchvision's licence.
    licence = "bsd-3-clause" if recipe.startswith("tv") else "apache-2.0"
    return WeightsInfo(name, architecture, f"hf://timm/{name}", "v1.5", "torch", top1, licence)


def _keras(architecture, variant, preprocessing, top1, licence):
    name = f"{architecture.lower()}.keras_in1k"
    return WeightsInfo(
        name, architecture, KERAS_APPLICATIONS, variant, preprocessing, top1, licence
    )


# The first row of an architecture and variant is its "imagenet".
_ROWS = (
    _timm("ResNet18", "tv", 69.758),
    _timm("ResNet34", "tv", 73.314),
    _timm("ResNet50", "tv", 76.130),
    _timm("ResNet101", "tv", 77.374),
    _timm("ResNet152", "tv", 78.312),
    _timm("ResNet50", "tv2", 80.858),
    _timm("ResNet101", "tv2", 81.886),
    _timm("ResNet152", "tv2", 82.284),
    _timm("ResNet18", "a1", 71.49),
    _timm("ResNet34", "a1", 76.42),
    _timm("ResNet50", "a1", 80.38),
    _timm("ResNet101", "a1", 81.50),
    _timm("ResNet152", "a1", 81.97),
    _timm("ResNet18D", "ra2", 72.26),
    _timm("ResNet34D", "ra2", 77.10),
    _timm("ResNet50D", "ra2", 80.53),
    _timm("ResNet50D", "a1", 80.68),
    _timm("SEResNet50", "ra2", 80.26),
    _timm("SEResNet50", "a1", 80.02),
    _keras("ResNet50", "v1", "caffe", 74.9, "mit"),
    _keras("ResNet101", "v1", "caffe", 76.4, "mit"),
    _keras("ResNet152", "v1", "caffe", 76.6, "mit"),
    _keras("ResNet50V2", "v2", "tf", 76.0, "bsd"),
    _keras("ResNet101V2", "v2", "tf", 77.2, "bsd"),
    _keras("ResNet152V2", "v2", "tf", 78.0, "bsd"),
)
REGISTRY = {row.name: row for row in _ROWS}
_ARCHITECTURES = tuple(dict.fromkeys(row.architecture for row in _ROWS))


def list_rows(architecture=None):
    """Return what is known of all published weights, as `keras_resnet.weights.list`.

    Args:
        architecture: str such as `"ResNet50"`, or None for all.

    Returns:
        List of `WeightsInfo`: name, architecture, source, variant, preprocessing, published top-1
        accuracy and licence. The first of an architecture and variant is its `"imagenet"`.

    Raises:
        ValueError: for an unknown architecture.

    Example:

    >>> for row in keras_resnet.weights.list("ResNet18"):
    ...     print(row.name, row.variant, row.preprocessing, row.top1, row.licence)
    resnet18.tv_in1k v1.5 torch 69.758 bsd-3-clause
    resnet18.a1_in1k v1.5 torch 71.49 apache-2.0
    """
    if architecture is not None:
        choose("architecture", architecture, _ARCHITECTURES)
    return [row for row in _ROWS if architecture in (None, row.architecture)]


def list_weights(architecture: str | None = None) -> list[str]:
    """Return the names that `weights=` accepts besides files and repositories.

    Args:
        architecture: str such as `"ResNet50"`, or None for all.

    Returns:
        List of str.

    Raises:
        ValueError: for an unknown architecture.

    Example:

    >>> keras_resnet.list_weights("ResNet18")
    ['resnet18.tv_in1k', 'resnet18.a1_in1k']
    """
    return [row.name for row in list_rows(architecture)]


def weights_info(name: str) -> WeightsInfo:
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
    for row in _ROWS:
        stride_in = getattr(blocks[0], "stride_in", "3x3") if blocks else None
        if stride_in == row.stride_in and _is(row.architecture, model, blocks):
            return row
    raise ValueError(
        f"weights='imagenet' exists for {', '.join(_ARCHITECTURES)}. Received: a model "
        f"{model.name!r} with other blocks or blocks per stage {_blocks_per_stage(blocks)}"
    )


def _is(architecture, model, blocks):
    """Tell whether a model has the stem and the blocks of an architecture."""
    row = IMAGENET_NETWORKS[architecture]
    deep = row.get("stem") == "deep"
    return (
        _blocks_per_stage(blocks) == row["stage_blocks"]
        and isinstance(model.get_layer("stem"), DeepStem) == deep
        and all(type(block) is BLOCKS[row["block"]] for block in blocks)
        and all(block.shortcut_kind == row.get("shortcut", "projection") for block in blocks)
        and all(block.squeeze_excitation == row.get("squeeze_excitation") for block in blocks)
    )


def _blocks_per_stage(blocks):
    stages = [block.name.split("_")[0] for block in blocks]
    return tuple(stages.count(stage) for stage in dict.fromkeys(stages))


def check_variant(model, row):
    """Refuse, before a download, a model that computes something else with a row's weights."""
    known = {"stride_in": row.stride_in} if row.repository is None else TORCHVISION
    if problems := differences(model, known):
        raise ValueError(
            f"The weights {row.name!r} are not for this model. Build it with the arguments they "
            "were trained with.\n  " + "\n  ".join(problems)
        )
