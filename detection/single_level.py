"""A detector without a pyramid: one feature map for everything."""

import keras


@keras.saving.register_keras_serializable(package="detection")
class SingleLevel(keras.layers.Layer):
    """Takes one feature map of the backbone as it is, the neck of C4 and DC5 detectors.

    Args:
        level: name of the feature map, e.g. `"C4"`.

    Input: dict of tensors `[B, H, W, C]` by level name.
    Output: list of the one tensor.

    Reference:
        Ren et al., "Faster R-CNN" (2015), section 3.1.

    Example:

    >>> (c4,) = SingleLevel("C4")({"C4": np.ones((1, 4, 4, 8), "float32")})
    >>> tuple(c4.shape)
    (1, 4, 4, 8)
    """

    def __init__(self, level="C4", **kwargs):
        super().__init__(**kwargs)
        self.level = level

    def build(self, input_shape):
        self.built = True

    def call(self, features):
        return [features[self.level]]

    def compute_output_shape(self, input_shape):
        return [tuple(input_shape[self.level])]

    def get_config(self):
        return {**super().get_config(), "level": self.level}
