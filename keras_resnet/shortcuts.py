"""The shortcut connections of He et al. 2015, section 4.1, "Identity vs. projection shortcuts"."""

import keras
from keras import ops

from keras_resnet._arguments import channel_axis, choose, standardize_data_format, strided
from keras_resnet.convolution import PaddedConv2D
from keras_resnet.normalization import make_norm


@keras.saving.register_keras_serializable(package="keras_resnet")
class ZeroPadShortcut(keras.layers.Layer):
    """Option A: take every `stride`-th pixel and append channels of zeros; no parameters.

    Args:
        filters: int, channels of the output, not fewer than those of the input.
        stride: int.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        **kwargs: `name`, `dtype`.

    Call arguments:
        inputs: tensor `[B, H, W, C]`.

    Returns:
        Tensor `[B, ceil(H / stride), ceil(W / stride), filters]`; the zeros are at the end.

    Example:

    >>> np.array(ZeroPadShortcut(4, stride=2)(np.ones((1, 4, 4, 2), "float32")))[0, 0, 0]
    array([1., 1., 0., 0.], dtype=float32)
    """

    def __init__(self, filters, stride=1, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.data_format = standardize_data_format(data_format)

    def build(self, input_shape):
        channels = input_shape[channel_axis(self.data_format)]
        if channels > self.filters:
            raise ValueError(
                "A zero-padding shortcut cannot reduce the number of channels; use "
                f"shortcut='projection'. Received: filters={self.filters}, inputs with {channels}"
            )
        self._missing = self.filters - channels

    def compute_output_shape(self, input_shape):
        return _output_shape(input_shape, self.filters, self.stride, self.data_format)

    def call(self, inputs):
        step = slice(None, None, self.stride)
        if self.data_format == "channels_first":
            return ops.pad(inputs[:, :, step, step], [[0, 0], [0, self._missing], [0, 0], [0, 0]])
        return ops.pad(inputs[:, step, step, :], [[0, 0], [0, 0], [0, 0], [0, self._missing]])

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="keras_resnet")
class ProjectionShortcut(keras.layers.Layer):
    """Options B and C: a strided 1x1 convolution and a norm.

    Args:
        filters: int, channels of the output.
        stride: int.
        norm: as in `make_norm`.
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
        shared = {"data_format": self.data_format, "dtype": self.dtype_policy}
        self.conv = PaddedConv2D(filters, 1, strides=stride, name="conv", **shared)
        self.norm = make_norm(norm, name="norm", **shared)

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))

    def compute_output_shape(self, input_shape):
        return _output_shape(input_shape, self.filters, self.stride, self.data_format)

    def call(self, inputs, training=None):
        # Keras hands `training` on to the norm.
        return self.norm(self.conv(inputs))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "norm": self.norm_options,
            "data_format": self.data_format,
        }


def _output_shape(input_shape, filters, stride, data_format):
    if data_format == "channels_first":
        batch, _, height, width = input_shape
        return (batch, filters, strided(height, stride), strided(width, stride))
    batch, height, width, _ = input_shape
    return (batch, strided(height, stride), strided(width, stride), filters)


def _zero_pad(filters, stride, norm, **kwargs):
    return ZeroPadShortcut(filters, stride, **kwargs)


# kind: (layer where the shape changes, layer where it does not; None is the identity)
SHORTCUTS = {
    "projection": (ProjectionShortcut, None),
    "zero_pad": (_zero_pad, None),
    "projection_all": (ProjectionShortcut, ProjectionShortcut),
}


def make_shortcut(shortcut, in_channels, filters, stride=1, norm="batch", **kwargs):
    """Create the shortcut of one block, or None for the identity.

    Args:
        shortcut: `"projection"` (option B: a projection where the shape changes, the identity
            elsewhere), `"zero_pad"` (option A) or `"projection_all"` (option C).
        in_channels, filters: int, channels before and after the block.
        stride: int, stride of the block.
        norm: as in `make_norm`.
        **kwargs: `data_format`, `name`, `dtype` of the layer.

    Returns:
        A Keras layer or None.

    Raises:
        ValueError: for an unknown kind.

    Example:

    >>> make_shortcut("projection", 64, 64) is None
    True
    """
    changed, unchanged = SHORTCUTS[choose("shortcut", shortcut, tuple(SHORTCUTS))]
    layer = changed if stride != 1 or in_channels != filters else unchanged
    return None if layer is None else layer(filters, stride=stride, norm=norm, **kwargs)
