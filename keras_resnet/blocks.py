"""The residual blocks of He et al. 2015, figure 5."""

import keras
from keras import ops

from keras_resnet._arguments import channel_axis, choose, standardize_data_format, strided
from keras_resnet.frozen_parts import FrozenParts
from keras_resnet.normalization import standardizes_weights
from keras_resnet.shortcuts import (
    make_shortcut,
    of_earlier,
    parse_shortcut,
    plain,
    starts_at_zero,
)
from keras_resnet.squeeze_excitation import SqueezeExcitation
from keras_resnet.units import build_units, make_unit


class ResidualBlock(FrozenParts, keras.layers.Layer):
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
        zero_init_residual=None,
        squeeze_excitation=None,
        stochastic_depth=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.join = parse_shortcut(shortcut)[0].join
        standardizes_weights(norm)  # refuses what is no norm
        if not 0.0 <= stochastic_depth < 1.0:
            raise ValueError(
                "`stochastic_depth` is the probability of skipping the block, in [0, 1). "
                f"Received: stochastic_depth={stochastic_depth}"
            )
        if stochastic_depth and self.join is plain:
            raise ValueError(
                "A block without shortcut cannot be skipped; leave `stochastic_depth` at 0. "
                f"Received: stochastic_depth={stochastic_depth}, shortcut={shortcut!r}"
            )
        self.filters = filters
        self.stride = stride
        self.dilation = dilation
        self.shortcut_kind = shortcut
        self.norm_options = norm
        self.zero_init_residual = starts_at_zero(zero_init_residual, shortcut)
        self.squeeze_excitation = squeeze_excitation
        self.stochastic_depth = stochastic_depth
        self.data_format = standardize_data_format(data_format)
        self.shortcut = self.se = self.drop = None
        if squeeze_excitation is not None:
            self.se = SqueezeExcitation(
                squeeze_excitation, self.data_format, name="se", dtype=self.dtype_policy
            )
        if stochastic_depth:
            self.drop = keras.layers.Dropout(
                stochastic_depth, (None, 1, 1, 1), name="drop", dtype=self.dtype_policy
            )

    @property
    def dilations(self):
        """Dilation of the convolutions up to the one with the stride, and of those after it."""
        if isinstance(self.dilation, int):
            return (self.dilation if self.stride == 1 else 1), self.dilation
        return tuple(self.dilation)

    def _make_unit(self, number, filters, kernel_size, stride=1, dilation=1, last=False):
        """Return a (convolution, norm) pair named `conv<number>`, `norm<number>`."""
        return make_unit(
            filters,
            kernel_size,
            self._norm_after(last),
            number,
            zero=last and self.zero_init_residual,
            strides=stride,
            dilation_rate=dilation,
            data_format=self.data_format,
            dtype=self.dtype_policy,
        )

    def _norm_after(self, last):
        """Return the norm after a convolution of the branch, or after the last one."""
        return self.norm_options

    @property
    def units(self):
        """The (convolution, norm) pairs of the branch, in order."""
        raise NotImplementedError

    def build(self, input_shape):
        shape = build_units(self.units, input_shape)
        for layer in (self.se, self.drop):
            if layer is not None:
                layer.build(shape)
        self.shortcut = make_shortcut(
            self.shortcut_kind,
            input_shape[channel_axis(self.data_format)],
            self.filters * self.expansion,
            self.stride,
            self._norm_after(last=True),
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="shortcut",
        )
        if self.shortcut is not None:
            self.shortcut.build(input_shape)
        self.freeze_parts()

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
        return self.join(self._finish(x), inputs, self.shortcut, ops.relu)

    def _finish(self, x):
        """Apply what may end a branch."""
        for layer in (self.se, self.drop):
            x = x if layer is None else layer(x)
        return x

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "dilation": self.dilation,
            "shortcut": self.shortcut_kind,
            "norm": self.norm_options,
            "zero_init_residual": self.zero_init_residual,
            "squeeze_excitation": self.squeeze_excitation,
            "stochastic_depth": self.stochastic_depth,
            "data_format": self.data_format,
        }

    @classmethod
    def from_config(cls, config):
        return super().from_config(of_earlier(config))


@keras.saving.register_keras_serializable(package="keras_resnet")
class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions and a shortcut, the block of ResNet-18 and ResNet-34.

    Args:
        filters: int, channels of both convolutions and of the output.
        stride: int, of the first convolution.
        dilation: int, of the convolutions with stride 1; or, for a block that dilates instead of
            striding, a pair: dilation up to the convolution that would stride, and after it.
        shortcut, norm: as in `ResNet`.
        zero_init_residual: bool, start the last norm's scale at zero, so that the block starts
            as its shortcut; None for where a shortcut is added.
        squeeze_excitation: int or None, `ratio` of a `SqueezeExcitation` at the end of the branch.
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
        before, after = self.dilations
        self.conv1, self.norm1 = self._make_unit(1, filters, 3, stride, before)
        self.conv2, self.norm2 = self._make_unit(2, filters, 3, 1, after, last=True)

    @property
    def units(self):
        return (self.conv1, self.norm1), (self.conv2, self.norm2)


@keras.saving.register_keras_serializable(package="keras_resnet")
class BottleneckBlock(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions and a shortcut, the block of ResNet-50 and deeper.

    Args:
        filters: int, channels of the 3x3 convolution; the output has four times as many.
        stride: int.
        dilation: as in `BasicBlock`.
        stride_in: `"3x3"` (as everybody trains, "v1.5") or `"1x1"` (the paper): the convolution
            that carries the stride.
        shortcut, norm, zero_init_residual, squeeze_excitation, stochastic_depth, data_format,
            **kwargs: as in `BasicBlock`.

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
        middle_dilation = self.dilations[0 if stride_in == "3x3" else 1]
        self.conv1, self.norm1 = self._make_unit(1, filters, 1, strides[0])
        self.conv2, self.norm2 = self._make_unit(2, filters, 3, strides[1], middle_dilation)
        self.conv3, self.norm3 = self._make_unit(3, filters * self.expansion, 1, last=True)

    @property
    def units(self):
        return (self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)

    def get_config(self):
        return {**super().get_config(), "stride_in": self.stride_in}
