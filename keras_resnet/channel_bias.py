"""What is left of a norm that was folded into the convolution before it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_resnet")
class ChannelBias(keras.layers.Layer):
    """Adds an offset to every channel: what is left of a norm folded into its convolution.

    Args:
        axis: int, axis of the channels; -1 or 1.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `[B, H, W, C]`, or `[B, C, H, W]` with `axis=1`, floating.

    Returns:
        Tensor of the shape and dtype of `inputs`.

    Example:

    >>> tuple(ChannelBias()(np.ones((2, 4, 4, 3), "float32")).shape)
    (2, 4, 4, 3)
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        if axis not in (-1, 1):
            raise ValueError(f"The channels must be on axis -1 or 1. Received: axis={axis}")
        self.axis = axis

    def build(self, input_shape):
        self.bias = self.add_weight(
            name="bias", shape=(input_shape[self.axis],), initializer="zeros"
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        return ops.add(inputs, ops.reshape(self.bias, (-1, 1, 1) if self.axis == 1 else (-1,)))

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
