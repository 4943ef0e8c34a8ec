"""The layers on the shortcuts of the blocks."""

import keras
from keras import ops

from keras_resnet._arguments import channel_axis, choose, standardize_data_format, strided
from keras_resnet.convolution import PaddedConv2D
from keras_resnet.units import build_units, make_unit


@keras.saving.register_keras_serializable(package="keras_resnet")
class ZeroPadShortcut(keras.layers.Layer):
    """Option A: take every `stride`-th pixel and add channels of zeros; no parameters.

    Args:
        filters: int, channels of the output, not fewer than those of the input.
        stride: int.
        zeros: `"end"`: all channels of zeros come last; or `"both"`: half of them (rounded down)
            come first, the others last.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        **kwargs: `name`, `dtype`.

    Call arguments:
        inputs: tensor `[B, H, W, C]`.

    Returns:
        Tensor `[B, ceil(H / stride), ceil(W / stride), filters]`.

    Raises:
        ValueError: if the inputs have more than `filters` channels.

    Reference:
        [He et al., 2015, section 3.3](https://arxiv.org/abs/1512.03385)

    Example:

    >>> np.array(ZeroPadShortcut(4, stride=2)(np.ones((1, 4, 4, 2), "float32")))[0, 0, 0]
    array([1., 1., 0., 0.], dtype=float32)
    """

    def __init__(self, filters, stride=1, zeros="end", data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.zeros = choose("zeros", zeros, ("end", "both"))
        self.data_format = standardize_data_format(data_format)

    def build(self, input_shape):
        channels = input_shape[channel_axis(self.data_format)]
        if channels > self.filters:
            raise ValueError(
                "A zero-padding shortcut cannot reduce the number of channels; use "
                f"shortcut='projection'. Received: filters={self.filters}, inputs with {channels}"
            )
        missing = self.filters - channels
        before = missing // 2 if self.zeros == "both" else 0
        self._pad = [before, missing - before]

    def compute_output_shape(self, input_shape):
        return _output_shape(input_shape, self.filters, self.stride, self.data_format)

    def call(self, inputs):
        step = slice(None, None, self.stride)
        if self.data_format == "channels_first":
            x, pads = inputs[:, :, step, step], [[0, 0], self._pad, [0, 0], [0, 0]]
        else:
            x, pads = inputs[:, step, step, :], [[0, 0], [0, 0], [0, 0], self._pad]
        if not any(self._pad):
            return x
        # A zero that is a tensor makes TensorFlow take PadV2. Its op Pad would be merged with the
        # convolution to whose output the shortcut is added, as if it padded that one's images
        # (2.21 with oneDNN): memory that is free by then is read.
        return ops.pad(x, pads, constant_values=ops.zeros((), x.dtype))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "zeros": self.zeros,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="keras_resnet")
class ProjectionShortcut(keras.layers.Layer):
    """Options B and C: a strided 1x1 convolution and a norm.

    Args:
        filters: int, channels of the output.
        stride: int.
        norm: as in `make_norm`, or None for no norm; the convolution has a bias then.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        **kwargs: `name`, `dtype`.

    Call arguments:
        inputs: tensor `[B, H, W, C]`.
        training: bool, for the norm.

    Returns:
        Tensor `[B, ceil(H / stride), ceil(W / stride), filters]`.

    Example:

    >>> tuple(ProjectionShortcut(4, stride=2)(np.ones((1, 4, 4, 2), "float32")).shape)
    (1, 2, 2, 4)
    """

    def __init__(self, filters, stride=1, norm="batch", data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.norm_options = norm
        self.data_format = standardize_data_format(data_format)
        self.conv, self.norm = make_unit(
            filters,
            1,
            norm,
            strides=stride if self._strided_convolution else 1,
            data_format=self.data_format,
            dtype=self.dtype_policy,
        )

    _strided_convolution = True

    @property
    def units(self):
        """The (convolution, norm) pairs, in order."""
        return ((self.conv, self.norm),)

    def build(self, input_shape):
        build_units(self.units, input_shape)

    def compute_output_shape(self, input_shape):
        return _output_shape(input_shape, self.filters, self.stride, self.data_format)

    def call(self, inputs, training=None):
        # Keras hands `training` on to the norm.
        x = self.conv(inputs)
        return x if self.norm is None else self.norm(x)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "norm": self.norm_options,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="keras_resnet")
class AveragePoolShortcut(ProjectionShortcut):
    """A projection that averages pixels where option B skips them ("ResNet-D").

    Args:
        filters, stride, norm, data_format, **kwargs: as in `ProjectionShortcut`. The pooling
            window is `stride` pixels wide; at the border it averages the pixels there are.

    Call arguments:
        inputs: tensor `[B, H, W, C]`.
        training: bool, for the norm.

    Returns:
        Tensor `[B, ceil(H / stride), ceil(W / stride), filters]`.

    Reference:
        [He et al., 2018, section 4.2](https://arxiv.org/abs/1812.01187)

    Example:

    >>> tuple(AveragePoolShortcut(4, stride=2)(np.ones((1, 5, 4, 2), "float32")).shape)
    (1, 3, 2, 4)
    """

    _strided_convolution = False

    def call(self, inputs, training=None):
        if self.stride > 1:
            # Without explicit strides Keras' JAX operation fails.
            inputs = ops.average_pool(
                inputs, self.stride, self.stride, padding="same", data_format=self.data_format
            )
        return super().call(inputs)


@keras.saving.register_keras_serializable(package="keras_resnet")
class HighwayShortcut(keras.layers.Layer):
    """Mixes a block's branch h and its inputs x by learned gates: `h * t + x * (1 - t)`.

    The transform gate t is the sigmoid of a 1x1 convolution of x with a bias, the carry gate
    its complement. A negative bias lets the block start by carrying its inputs. Where the shape
    changes, what is carried is padded with channels of zeros and subsampled, as in option A.

    Args:
        filters: int, channels of the output, not fewer than those of the inputs.
        stride: int.
        gate_bias: float, initial bias of the transform gate.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        **kwargs: `name`, `dtype`.

    Call arguments:
        inputs: list of x `[B, H, W, C]` and h `[B, ceil(H / stride), ceil(W / stride), filters]`.

    Returns:
        Tensor of the shape of h.

    Raises:
        ValueError: if the inputs have more than `filters` channels.

    Reference:
        [Srivastava et al., 2015, sections 2 and 2.2](https://arxiv.org/abs/1505.00387)

    Example:

    >>> x, h = np.ones((1, 4, 4, 2), "float32"), np.zeros((1, 2, 2, 3), "float32")
    >>> tuple(HighwayShortcut(3, stride=2)([x, h]).shape)
    (1, 2, 2, 3)
    """

    def __init__(self, filters, stride=1, gate_bias=-2.0, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.gate_bias = gate_bias
        self.data_format = standardize_data_format(data_format)
        shared = {"data_format": self.data_format, "dtype": self.dtype_policy}
        self.gate = PaddedConv2D(
            filters,
            1,
            strides=stride,
            use_bias=True,
            bias_initializer=keras.initializers.Constant(gate_bias),
            name="gate",
            **shared,
        )
        self.carry = ZeroPadShortcut(filters, stride, name="carry", **shared)

    def build(self, input_shape):
        # A block builds its shortcut on the shape of its inputs alone.
        shape = input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape
        self.gate.build(shape)
        self.carry.build(shape)

    def compute_output_shape(self, input_shape):
        return _output_shape(input_shape[0], self.filters, self.stride, self.data_format)

    def call(self, inputs):
        x, h = inputs
        t = ops.sigmoid(self.gate(x))
        return h * t + self.carry(x) * (1.0 - t)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "gate_bias": self.gate_bias,
            "data_format": self.data_format,
        }


def _output_shape(input_shape, filters, stride, data_format):
    if data_format == "channels_first":
        batch, _, height, width = input_shape
        return (batch, filters, strided(height, stride), strided(width, stride))
    batch, height, width, _ = input_shape
    return (batch, strided(height, stride), strided(width, stride), filters)
