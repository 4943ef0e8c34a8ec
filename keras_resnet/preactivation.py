"""The pre-activation forms of the blocks: norm and ReLU come before a convolution."""

import keras
from keras import ops

from keras_resnet.blocks import BasicBlock, BottleneckBlock, ResidualBlock
from keras_resnet.normalization import make_norm, unfoldable
from keras_resnet.shortcuts import ProjectionShortcut


class PreActivationBlock(ResidualBlock):
    """What makes a block a pre-activation block; to be mixed into one.

    `preact_norm` comes first. Each unit is a convolution and the norm *after* it, so the last has
    none; it and the projection have a bias instead. A projection reads the pre-activation, every
    other shortcut the block's inputs, and nothing follows the addition.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.preact_norm = make_norm(
            unfoldable(self.norm_options),
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="preact_norm",
        )

    def _norm_after(self, last):
        return None if last else self.norm_options

    def build(self, input_shape):
        self.preact_norm.build(input_shape)
        super().build(input_shape)

    def call(self, inputs, training=None):
        # Keras hands `training` on to the norms and to the dropout.
        x = preactivation = ops.relu(self.preact_norm(inputs))
        for conv, norm in self.units:
            x = conv(x)
            x = x if norm is None else ops.relu(norm(x))
        around = preactivation if isinstance(self.shortcut, ProjectionShortcut) else inputs
        return self.join(self._finish(x), around, self.shortcut, lambda outputs: outputs)


@keras.saving.register_keras_serializable(package="keras_resnet")
class PreActBasicBlock(PreActivationBlock, BasicBlock):
    """The pre-activation form of `BasicBlock`: (norm, ReLU, 3x3 convolution) twice.

    Args:
        filters, stride, dilation, shortcut, norm, squeeze_excitation, stochastic_depth,
            data_format, **kwargs: as in `BasicBlock`.
        zero_init_residual: bool, start the last kernel at zero, so that the block starts as its
            shortcut; None for where a shortcut is added.

    Call arguments:
        inputs: tensor `[B, H, W, C]`, floating.
        training: bool, for the norms and the stochastic depth.

    Returns:
        Tensor `[B, ceil(H / stride), ceil(W / stride), filters]` of the compute dtype, to be
        normalized before use.

    Reference:
        [He et al., 2016, figure 1 (b)](https://arxiv.org/abs/1603.05027)

    Example:

    >>> tuple(keras_resnet.PreActBasicBlock(8, stride=2)(np.ones((1, 6, 6, 4), "float32")).shape)
    (1, 3, 3, 8)
    """


@keras.saving.register_keras_serializable(package="keras_resnet")
class PreActBottleneckBlock(PreActivationBlock, BottleneckBlock):
    """The pre-activation form of `BottleneckBlock`.

    Args:
        filters, stride, dilation, stride_in, shortcut, norm, squeeze_excitation,
            stochastic_depth, data_format, **kwargs: as in `BottleneckBlock`.
        zero_init_residual: bool, start the last kernel at zero, so that the block starts as its
            shortcut; None for where a shortcut is added.

    Call arguments:
        inputs: tensor `[B, H, W, C]`, floating.
        training: bool, for the norms and the stochastic depth.

    Returns:
        Tensor `[B, ceil(H / stride), ceil(W / stride), 4 * filters]` of the compute dtype, to be
        normalized before use.

    Reference:
        [He et al., 2016, figure 1 (b)](https://arxiv.org/abs/1603.05027)

    Example:

    >>> block = keras_resnet.PreActBottleneckBlock(8, stride=2)
    >>> tuple(block(np.ones((1, 6, 6, 4), "float32")).shape)
    (1, 3, 3, 32)
    """


# The names that `ResNet(block=...)` accepts.
BLOCKS = {
    "basic": BasicBlock,
    "bottleneck": BottleneckBlock,
    "preact_basic": PreActBasicBlock,
    "preact_bottleneck": PreActBottleneckBlock,
}
