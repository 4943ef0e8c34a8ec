"""What a detector holds at least, by its configuration alone, before any of it is built."""

from keras_resnet.untrusted import network_size
from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.variants import IMAGENET_NETWORKS

# Stages after the last level are built and not kept. ResNet-152 has 39 blocks after its second.
_MAX_UNUSED_BLOCKS = 64


def refuse_larger(config, shapes, where):
    """Refuses a configuration of a detector of which a file does not hold the weights.

    Args:
        config: a `ModelConfig`.
        shapes: list of the shapes of all arrays in the file.
        where: how errors name the file.

    Raises:
        UntrustedFileError: saying what is not there.
    """
    stages = config.backbone.blocks_per_stage
    kept = stages
    if config.architecture != "c4":  # which has the last stage in its box head
        kept = stages[: int(config.backbone.levels[-1][1:]) - 1]
    unused = sum(stages) - sum(kept)
    if unused > _MAX_UNUSED_BLOCKS:
        raise UntrustedFileError(
            f"{where} describes {unused} blocks after the last of its levels "
            f"({config.backbone.levels[-1]})."
        )
    more = [*_convolutions(config), *_box_heads(config)]
    network_size.refuse_larger(kept, config.backbone.width, shapes, where, more)


def _channels(config):
    """Channels of the feature maps that regions are proposed and pooled from."""
    if config.architecture == "fpn":
        return config.fpn_filters
    backbone = config.backbone
    block = backbone.block
    if backbone.network is not None:
        block = IMAGENET_NETWORKS[backbone.network]["block"]
    stage = int(backbone.levels[-1][1:]) - 2
    return backbone.width * 2**stage * (4 if block.endswith("bottleneck") else 1)


def _convolutions(config):
    """Kernels of the pyramid's outputs and of the region proposal network."""
    channels = _channels(config)
    filters = config.rpn.filters or channels
    if config.architecture == "fpn":
        yield from [(3, 3, channels, channels)] * len(config.backbone.levels)
    yield (3, 3, channels, filters)
    yield from [(3, 3, filters, filters)] * (config.rpn.conv_depth - 1)


def _box_heads(config):
    """Kernels and matrices of the box heads."""
    if config.architecture == "c4":
        return
    heads = config.roi_heads
    for _ in heads.cascade.ious if heads.cascade is not None else (None,):
        channels = _channels(config)
        for filters in heads.convolutions:
            yield (3, 3, channels, filters)
            channels = filters
        units = heads.pool_size**2 * channels
        for hidden in heads.hidden:
            yield (units, hidden)
            units = hidden
