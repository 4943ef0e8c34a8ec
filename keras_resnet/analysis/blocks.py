"""What the analyses need to know about residual blocks."""

from keras import ops

from keras_resnet.analysis.intercept import sublayers
from keras_resnet.blocks import ResidualBlock
from keras_resnet.shortcut_layers import HighwayShortcut
from keras_resnet.shortcuts import plain


def residual_blocks(model):
    """Return the residual blocks inside a model by path, in depth order; not those of plain nets.

    Example:

    >>> list(residual_blocks(keras_resnet.ResNet((1, 1), width=8)))
    ['stage2_block1', 'stage3_block1']
    """
    return {
        path: layer
        for path, layer in sublayers(model).items()
        if isinstance(layer, ResidualBlock) and layer.join is not plain
    }


def ends(block):
    """Return the layers whose outputs decide what a block adds to its shortcut.

    Args:
        block: a built residual block.

    Returns:
        List of layers: the last of the branch, and the gate of a highway.
    """
    layers = [layer for layer in block.units[-1] if layer is not None]
    return [*layers, block.shortcut] if isinstance(block.shortcut, HighwayShortcut) else layers


def without_branch(layer, inputs, outputs):
    """Return what one of the `ends` of a block returns where the block is its shortcut alone."""
    if isinstance(layer, HighwayShortcut):
        return layer.carry(inputs[0])
    return ops.zeros_like(outputs)
