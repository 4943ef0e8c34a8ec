"""The residual blocks of He et al. 2015, figure 5."""

import keras
from keras import ops

from keras_resnet._arguments import channel_axis, choose, standardize_data_format, strided
from keras_resnet.convolution import PaddedConv2D
from keras_resnet.normalization import make_norm
from keras_resnet.shortcuts import make_shortcut


class ResidualBlock(keras.layers.Layer):
    """What the blocks share: `relu(shortcut(x) + branch(x))`.

    A subclass sets `expansion` (channels of the output per `filters`) and in its constructor
    creates the convolutions and norms of the branch with `_make_unit`, listed in `units`.
    """

    expansion = 1

    def __init__(
        self,
        filters,
        stride=1,
        dilation=1,
        shortcut="projection",
        norm="batch",
        zero_init_residual=True,
        stochastic_depth=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 <= stochastic_depth < 1.0:
            raise ValueError(
                "`stochastic_depth` is the probability of skipping the block, in [0, 1). "
                f"Received: stochastic_depth={stochastic_depth}"
            )
        self.filters = filters
        self.stride = stride
        self.dilation = dilation
        self.shortcut_kind = shortcut
        self.norm_options = norm
        self.zero_init_residual = zero_init_residual
        self.stochastic_depth = stochastic_depth
        self.data_format = standardize_data_format(data_format)
        self.shortcut = None
        self.drop = None
        if stochastic_depth:
            self.drop = keras.layers.Dropout(
                stochastic_depth, (None, 1, 1, 1), name="drop", dtype=self.dtype_policy
            )

    def _make_unit(self, number, filters, kernel_size, stride=1, dilation=1, last=False):
        """Return a (convolution, norm) pair named `conv<number>`, `norm<number>`."""
        shared = {"data_format": self.data_format, "dtype": self.dtype_policy}
        conv = PaddedConv2D(
            filters,
            kernel_size,
            strides=stride,
            dilation_rate=dilation,
            name=f"conv{number}",
            **shared,
        )
        zero_gamma = last and self.zero_init_residual
        return conv, make_norm(self.norm_options, zero_gamma, name=f"norm{number}", **shared)

    @property
    def units(self):
        """The (convolution, norm) pairs of the branch, in order."""
        raise NotImplementedError

    def build(self, input_shape):
        shape = input_shape
        for conv, norm in self.units:
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            norm.build(shape)
        if self.drop is not None:
            self.drop.build(shape)
        self.shortcut = make_shortcut(
            self.shortcut_kind,
            input_shape[channel_axis(self.data_format)],
            self.filters * self.expansion,
            self.stride,
            self.norm_options,
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="shortcut",
        )
        if self.shortcut is not None:
            self.shortcut.build(input_shape)

    def compute_output_shape(self, input_shape):
        channels = self.filters * self.expansion
        if self.data_format == "channels_first":
            batch, _, height, width = input_shape
            return (batch, channels, strided(height, self.stride), strided(width, self.stride))
        batch, height, width, _ = input_shape
        return (batch, strided(height, self.stride), strided(width, self.stride), channels)

    def call(self, inputs, training=None):
        # Keras hands `training` on to the norms and to the dropout.
        x = inputs
        for i, (conv, norm) in enumerate(self.units):
            x = norm(conv(ops.relu(x) if i else x))
        if self.drop is not None:
            x = self.drop(x)
        shortcut = inputs if self.shortcut is None else self.shortcut(inputs)
        return ops.relu(ops.add(x, shortcut))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "dilation": self.dilation,
            "shortcut": self.shortcut_kind,
            "norm": self.norm_options,
            "zero_init_residual": self.zero_init_residual,
            "stochastic_depth": self.stochastic_depth,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="keras_resnet")
class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions and a shortcut, the block of ResNet-18 and ResNet-34.

    Args:
        filters: int, channels of both convolutions and of the output.
        stride: int, of the first convolution.
        dilation: int, of the convolutions with stride 1.
        shortcut: `"projection"` (option B), `"zero_pad"` (A) or `"projection_all"` (C).
        norm: as in `ResNet`.
        zero_init_residual: bool, start the last norm's scale at zero, so that the block starts
            as its shortcut.
        stochastic_depth: float, probability of skipping the branch for an image in training.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `[B, H, W, C]`, floating.
        training: bool, for the norms and the stochastic depth.

    Returns:
        Tensor `[B, ceil(H / stride), ceil(W / stride), filters]` of the compute dtype.

    Reference:
        [He et al., 2015, figure 5, left](https://arxiv.org/abs/1512.03385)

    Example:

    >>> tuple(keras_resnet.BasicBlock(8, stride=2)(np.ones((1, 6, 6, 4), "float32")).shape)
    (1, 3, 3, 8)
    """

    def __init__(self, filters, stride=1, dilation=1, **kwargs):
        super().__init__(filters, stride=stride, dilation=dilation, **kwargs)
        first_dilation = dilation if stride == 1 else 1
        self.conv1, self.norm1 = self._make_unit(1, filters, 3, stride, first_dilation)
        self.conv2, self.norm2 = self._make_unit(2, filters, 3, 1, dilation, last=True)

    @property
    def units(self):
        return (self.conv1, self.norm1), (self.conv2, self.norm2)


@keras.saving.register_keras_serializable(package="keras_resnet")
class BottleneckBlock(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions and a shortcut, the block of ResNet-50 and deeper.

    Args:
        filters: int, channels of the 3x3 convolution; the output has four times as many.
        stride: int.
        dilation: int, of the 3x3 convolution where it has stride 1.
        stride_in: `"3x3"` (as everybody trains, "v1.5") or `"1x1"` (the paper): the convolution
            that carries the stride.
        shortcut, norm, zero_init_residual, stochastic_depth, data_format, **kwargs: as in
            `BasicBlock`.

    Call arguments:
        inputs: tensor `[B, H, W, C]`, floating.
        training: bool, for the norms and the stochastic depth.

    Returns:
        Tensor `[B, ceil(H / stride), ceil(W / stride), 4 * filters]` of the compute dtype.

    Reference:
        [He et al., 2015, figure 5, right](https://arxiv.org/abs/1512.03385)

    Example:

    >>> tuple(keras_resnet.BottleneckBlock(8, stride=2)(np.ones((1, 6, 6, 4), "float32")).shape)
    (1, 3, 3, 32)
    """

    expansion = 4

    def __init__(self, filters, stride=1, dilation=1, stride_in="3x3", **kwargs):
        super().__init__(filters, stride=stride, dilation=dilation, **kwargs)
        self.stride_in = choose("stride_in", stride_in, ("3x3", "1x1"))
        strides = (1, stride) if stride_in == "3x3" else (stride, 1)
        middle_dilation = dilation if strides[1] == 1 else 1
        self.conv1, self.norm1 = self._make_unit(1, filters, 1, strides[0])
        self.conv2, self.norm2 = self._make_unit(2, filters, 3, strides[1], middle_dilation)
        self.conv3, self.norm3 = self._make_unit(3, filters * self.expansion, 1, last=True)

    @property
    def units(self):
        return (self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)

    def get_config(self):
        return {**super().get_config(), "stride_in": self.stride_in}


# The names that `ResNet(block=...)` accepts.
BLOCKS = {"basic": BasicBlock, "bottleneck": BottleneckBlock}
