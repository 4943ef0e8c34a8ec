"""Squeeze-and-excitation."""

import keras
from keras import ops

from keras_resnet._arguments import channel_axis, standardize_data_format


@keras.saving.register_keras_serializable(package="keras_resnet")
class SqueezeExcitation(keras.layers.Layer):
    """Scales every channel by a weight between 0 and 1 that all channels' averages decide.

    Args:
        ratio: int, the hidden layer has `channels // ratio` units, at least one.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `[B, H, W, C]`.

    Returns:
        Tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: if `ratio` is below 1.

    Reference:
        [Hu et al., 2017, section 3](https://arxiv.org/abs/1709.01507)

    Example:

    >>> layer = keras_resnet.SqueezeExcitation(ratio=4)
    >>> tuple(layer(np.ones((2, 5, 5, 8), "float32")).shape)
    (2, 5, 5, 8)
    """

    def __init__(self, ratio=16, data_format=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(ratio, int) or ratio < 1:
            raise ValueError(f"`ratio` must be a positive integer. Received: ratio={ratio!r}")
        self.ratio = ratio
        self.data_format = standardize_data_format(data_format)

    def build(self, input_shape):
        channels = input_shape[channel_axis(self.data_format)]
        shared = {"kernel_initializer": "he_normal", "dtype": self.dtype_policy}
        self.reduce = keras.layers.Dense(
            max(1, channels // self.ratio), activation="relu", name="reduce", **shared
        )
        self.expand = keras.layers.Dense(channels, activation="sigmoid", name="expand", **shared)
        self.reduce.build((None, channels))
        self.expand.build((None, max(1, channels // self.ratio)))

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        first = self.data_format == "channels_first"
        # A mean of many 16-bit numbers needs more than 16 bits on its way.
        wide = keras.backend.result_type(inputs.dtype, "float32")
        average = ops.mean(ops.cast(inputs, wide), axis=(2, 3) if first else (1, 2))
        scale = self.expand(self.reduce(ops.cast(average, inputs.dtype)))
        return inputs * (scale[:, :, None, None] if first else scale[:, None, None, :])

    def get_config(self):
        return {**super().get_config(), "ratio": self.ratio, "data_format": self.data_format}
