"""The convolutions of every network here: He initialisation, torch's padding."""

import keras
from keras import ops

from keras_resnet import _pointwise
from keras_resnet._arguments import channel_axis


def he_normal_fan_out():
    """Return the initializer of He et al. 2015 (arXiv:1502.01852), fan-out form, not truncated."""
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="untruncated_normal"
    )


@keras.saving.register_keras_serializable(package="keras_resnet")
class PaddedConv2D(keras.layers.Conv2D):
    """A convolution that pads `dilation * (kernel - 1) // 2` pixels on all four sides.

    `padding="same"` of Keras pads a strided convolution by an amount that depends on the size of
    the image, and more at the bottom right; networks trained elsewhere expect the symmetric form.

    Args:
        filters: int, channels of the output.
        kernel_size: odd int, or a tuple of two equal odd ints.
        strides: int, or a tuple of two equal ints.
        dilation_rate: int, or a tuple of two equal ints; only 1 where `strides` is above 1.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        use_bias: bool; no convolution before a norm needs one.
        **kwargs: `kernel_initializer`, `bias_initializer`, `kernel_regularizer`, `name`, `dtype`,
            `trainable`.

    Call arguments:
        inputs: tensor `[B, H, W, C]` (or `[B, C, H, W]`).

    Returns:
        Tensor `[B, ceil(H / strides), ceil(W / strides), filters]` of the compute dtype.

    Raises:
        ValueError: if `kernel_size` is even or not square.

    Example:

    >>> layer = keras_resnet.convolution.PaddedConv2D(8, 3, strides=2)
    >>> tuple(layer(np.zeros((1, 7, 9, 3), "float32")).shape)
    (1, 4, 5, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        dilation_rate=1,
        data_format=None,
        kernel_initializer=None,
        use_bias=False,
        **kwargs,
    ):
        sizes = (kernel_size,) * 2 if isinstance(kernel_size, int) else tuple(kernel_size)
        if len(sizes) != 2 or sizes[0] != sizes[1] or sizes[0] % 2 == 0:
            raise ValueError(
                "The kernel must be square with an odd side, so that the padding is symmetric. "
                f"Received: kernel_size={kernel_size}"
            )
        strided = strides not in (1, (1, 1), [1, 1])
        super().__init__(
            filters,
            sizes,
            strides=strides,
            # With stride 1 the two paddings agree and "same" costs no copy of the image. Padding
            # is never passed to the TensorFlow op as numbers: its bfloat16 gradient is slow there.
            padding="valid" if strided and sizes[0] > 1 else "same",
            dilation_rate=dilation_rate,
            data_format=data_format,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer or he_normal_fan_out(),
            **kwargs,
        )
        self._pad = sizes[0] // 2 if self.padding == "valid" else 0
        self._subsamples = strided and sizes[0] == 1

    def compute_output_shape(self, input_shape):
        if self._pad:
            axis = channel_axis(self.data_format)
            input_shape = tuple(
                size if size is None or i in (0, axis % 4) else size + 2 * self._pad
                for i, size in enumerate(input_shape)
            )
        return super().compute_output_shape(input_shape)

    def call(self, inputs):
        if self._pad:
            inputs = pad_image(inputs, self._pad, self.data_format)
        return super().call(inputs)

    def convolution_op(self, inputs, kernel):
        if self.kernel_size != (1, 1):
            return super().convolution_op(inputs, kernel)
        if self._subsamples:
            inputs = self._subsample(inputs)
        if _pointwise.can_multiply(inputs, self.data_format):
            return _pointwise.convolve(inputs, kernel)
        return ops.conv(inputs, kernel, padding="valid", data_format=self.data_format)

    def _subsample(self, inputs):
        # With a 1x1 convolution, the same numbers as a strided one, whose gradient crashes
        # TensorFlow 2.21 on some processors: few channels, an odd batch, oneDNN.
        rows, columns = (slice(None, None, stride) for stride in self.strides)
        if self.data_format == "channels_first":
            return inputs[:, :, rows, columns]
        if keras.config.backend() == "tensorflow":
            # Pools of one cell: the slice, but by several threads, and its gradient too.
            return ops.average_pool(inputs, 1, self.strides, data_format=self.data_format)
        return inputs[:, rows, columns]

    def get_config(self):
        config = super().get_config()
        for fixed in (
            "padding",
            "groups",
            "activation",
            "bias_regularizer",
            "bias_constraint",
            "activity_regularizer",
        ):
            config.pop(fixed)
        return config


@keras.saving.register_keras_serializable(package="keras_resnet")
class StandardizedConv2D(PaddedConv2D):
    """A `PaddedConv2D` whose kernel has mean 0 and variance 1 for every channel of the output.

    Stands in for what batch statistics do to the weights where the norm is a group norm. What is
    trained and saved is the kernel before the standardization.

    Args:
        filters, kernel_size, **kwargs: as in `PaddedConv2D`.

    Call arguments:
        inputs: tensor `[B, H, W, C]` (or `[B, C, H, W]`).

    Returns:
        Tensor `[B, ceil(H / strides), ceil(W / strides), filters]` of the compute dtype.

    Reference:
        [Qiao et al., 2019, section 2](https://arxiv.org/abs/1903.10520)

    Example:

    >>> layer = keras_resnet.convolution.StandardizedConv2D(8, 3, strides=2)
    >>> tuple(layer(np.zeros((1, 7, 9, 3), "float32")).shape)
    (1, 4, 5, 8)
    """

    def convolution_op(self, inputs, kernel):
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        kernel = ops.cast(kernel, dtype)
        centred = kernel - ops.mean(kernel, axis=(0, 1, 2), keepdims=True)
        variance = ops.mean(ops.square(centred), axis=(0, 1, 2), keepdims=True)
        kernel = centred * ops.rsqrt(variance + 1e-6)
        return super().convolution_op(inputs, ops.cast(kernel, inputs.dtype))


def pad_image(images, amount, data_format):
    """Pad height and width of a 4-d tensor by `amount` zeros on each side."""
    pads = [[0, 0], [amount, amount], [amount, amount], [0, 0]]
    if data_format == "channels_first":
        pads = [pads[0], pads[3], pads[1], pads[2]]
    return ops.pad(images, pads)
