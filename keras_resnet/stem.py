"""The layers before the first residual block."""

import keras
from keras import ops

from keras_resnet._arguments import choose, standardize_data_format, strided
from keras_resnet.convolution import PaddedConv2D, pad_image
from keras_resnet.normalization import make_norm

# The names that `ResNet(stem=...)` accepts; a dict of these options is accepted too.
STEMS = {
    "imagenet": {"kernel_size": 7, "stride": 2, "pool": True},
    "3x3": {"kernel_size": 3, "stride": 1, "pool": False},
}


def parse_stem(stem):
    """Return the options of a stem given by name or as a dict."""
    if not isinstance(stem, dict):
        return dict(STEMS[choose("stem", stem, tuple(STEMS))])
    for option in stem:
        choose("option of stem", option, tuple(STEMS["imagenet"]))
    return {**STEMS["3x3"], **stem}


@keras.saving.register_keras_serializable(package="keras_resnet")
class Stem(keras.layers.Layer):
    """Convolution, norm, ReLU and, for large images, a 3x3 max-pool of stride 2.

    Args:
        filters: int, channels of the output.
        kernel_size: odd int.
        stride: int, of the convolution.
        pool: bool, end with the max-pool.
        norm: as in `ResNet`.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        preprocessing: str or None, the `style` of `preprocess_input` that the weights were trained
            with. `load_weights` records it here, so that it is saved with the network.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: images, tensor `[B, H, W, C]`.
        training: bool, for the norm.

    Returns:
        Tensor `[B, ceil(H / s), ceil(W / s), filters]`, s being `stride`, doubled by the pool.

    Example:

    >>> tuple(keras_resnet.Stem(8)(np.ones((1, 32, 48, 3), "float32")).shape)
    (1, 8, 12, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size=7,
        stride=2,
        pool=True,
        norm="batch",
        data_format=None,
        preprocessing=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.pool = pool
        self.norm_options = norm
        self.preprocessing = preprocessing
        self.data_format = standardize_data_format(data_format)
        shared = {"data_format": self.data_format, "dtype": self.dtype_policy}
        self.conv = PaddedConv2D(filters, kernel_size, strides=stride, name="conv", **shared)
        self.norm = make_norm(norm, name="norm", **shared)

    @property
    def total_stride(self):
        """Pixels of the image per pixel of the output."""
        return self.stride * (2 if self.pool else 1)

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))

    def compute_output_shape(self, input_shape):
        shape = self.conv.compute_output_shape(input_shape)
        if not self.pool:
            return shape
        first = 2 if self.data_format == "channels_first" else 1
        return tuple(
            strided(size, 2) if axis in (first, first + 1) else size
            for axis, size in enumerate(shape)
        )

    def call(self, inputs, training=None):
        # Keras hands `training` on to the norm.
        x = ops.relu(self.norm(self.conv(inputs)))
        if not self.pool:
            return x
        # Nothing is negative after the ReLU, so padding with zeros equals padding with -inf.
        x = pad_image(x, 1, self.data_format)
        return ops.max_pool(x, 3, strides=2, padding="valid", data_format=self.data_format)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "pool": self.pool,
            "norm": self.norm_options,
            "data_format": self.data_format,
            "preprocessing": self.preprocessing,
        }
