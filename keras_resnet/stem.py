"""The layers before the first residual block."""

import keras
from keras import ops

from keras_resnet._arguments import choose, standardize_data_format, strided
from keras_resnet.convolution import pad_image
from keras_resnet.frozen_parts import FrozenParts
from keras_resnet.units import build_units, make_unit

# The names that `ResNet(stem=...)` accepts; a dict of these options is accepted too.
STEMS = {
    "imagenet": {"kernel_size": 7, "stride": 2, "pool": True},
    "imagenet_v2": {"kernel_size": 7, "stride": 2, "pool": True, "normalize": False},
    "deep": {"kernel_size": 3, "stride": 2, "pool": True, "deep": True},
    "3x3": {"kernel_size": 3, "stride": 1, "pool": False},
    "3x3_v2": {"kernel_size": 3, "stride": 1, "pool": False, "normalize": False},
}
_DEFAULTS = {**STEMS["3x3"], "normalize": True, "deep": False}


def parse_stem(stem):
    """Return the options of a stem given by name or as a dict."""
    if not isinstance(stem, dict):
        stem = STEMS[choose("stem", stem, tuple(STEMS))]
    for option in stem:
        choose("option of stem", option, tuple(_DEFAULTS))
    return {**_DEFAULTS, **stem}


def make_stem(stem, filters, norm, **kwargs):
    """Create the stem that `ResNet(stem=...)` describes.

    Args:
        stem: a name of `STEMS` or a dict of options.
        filters: int, channels of the output.
        norm: as in `make_norm`.
        **kwargs: `data_format`, `name`, `dtype`.

    Returns:
        A `Stem`.

    Example:

    >>> make_stem("deep", 64, "batch").total_stride
    4
    """
    options = parse_stem(stem)
    layer = DeepStem if options.pop("deep") else Stem
    if not options.pop("normalize"):
        norm = None
    return layer(filters, norm=norm, **options, **kwargs)


@keras.saving.register_keras_serializable(package="keras_resnet")
class Stem(FrozenParts, keras.layers.Layer):
    """Convolution, norm, ReLU and, for large images, a 3x3 max-pool of stride 2.

    Args:
        filters: int, channels of the output.
        kernel_size: odd int.
        stride: int, of the convolution.
        pool: bool, end with the max-pool.
        norm: as in `ResNet`; or None for a convolution with bias and without ReLU, as before
            pre-activation blocks.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        preprocessing: str or None, the `style` of `preprocess_input` that the weights were trained
            with. `load_weights` records it here, so that it is saved with the network.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: images, tensor `[B, H, W, C]`.
        training: bool, for the norms.

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
        self._make_units()

    def _make_units(self):
        self.conv, self.norm = self._make_unit(self.filters, stride=self.stride)

    def _make_unit(self, filters, number="", stride=1):
        return make_unit(
            filters,
            self.kernel_size,
            self.norm_options,
            number,
            strides=stride,
            data_format=self.data_format,
            dtype=self.dtype_policy,
        )

    @property
    def units(self):
        """The (convolution, norm) pairs, in order."""
        return ((self.conv, self.norm),)

    @property
    def total_stride(self):
        """Pixels of the image per pixel of the output."""
        return self.stride * (2 if self.pool else 1)

    def build(self, input_shape):
        build_units(self.units, input_shape)
        self.freeze_parts()

    def compute_output_shape(self, input_shape):
        shape = input_shape
        for conv, _ in self.units:
            shape = conv.compute_output_shape(shape)
        if not self.pool:
            return shape
        first = 2 if self.data_format == "channels_first" else 1
        return tuple(
            strided(size, 2) if axis in (first, first + 1) else size
            for axis, size in enumerate(shape)
        )

    def call(self, inputs, training=None):
        # Keras hands `training` on to the norms.
        x = inputs
        for conv, norm in self.units:
            x = conv(x) if norm is None else ops.relu(norm(conv(x)))
        if not self.pool:
            return x
        # Nothing is negative after the ReLU, so padding with zeros equals padding with -inf.
        # Without norm and ReLU it does not, but keras.applications pads with zeros there too.
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


@keras.saving.register_keras_serializable(package="keras_resnet")
class DeepStem(Stem):
    """A stem of three convolutions of 3x3 instead of one of 7x7 ("ResNet-C" and "-D").

    Args:
        filters: even int, channels of the output; the first two convolutions have half as many.
        kernel_size: odd int, of all three.
        stride: int, of the first convolution.
        pool, norm, data_format, preprocessing, **kwargs: as in `Stem`.

    Call arguments:
        inputs: images, tensor `[B, H, W, C]`.
        training: bool, for the norms.

    Returns:
        Tensor `[B, ceil(H / s), ceil(W / s), filters]`, s being `stride`, doubled by the pool.

    Reference:
        [He et al., 2018, section 4.1](https://arxiv.org/abs/1812.01187)

    Example:

    >>> tuple(keras_resnet.DeepStem(8)(np.ones((1, 32, 48, 3), "float32")).shape)
    (1, 8, 12, 8)
    """

    def __init__(self, filters, kernel_size=3, **kwargs):
        super().__init__(filters, kernel_size=kernel_size, **kwargs)

    def _make_units(self):
        half = self.filters // 2
        self.conv1, self.norm1 = self._make_unit(half, 1, self.stride)
        self.conv2, self.norm2 = self._make_unit(half, 2)
        self.conv3, self.norm3 = self._make_unit(self.filters, 3)

    @property
    def units(self):
        return (self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)
