"""Box heads: what turns every pooled region into one vector."""

import keras
from keras import ops

from keras_resnet.frozen_parts import FrozenParts
from keras_resnet.units import build_units, make_unit


@keras.saving.register_keras_serializable(package="detection")
class ConvFCHead(FrozenParts, keras.layers.Layer):
    """3x3 convolutions, if any, and then fully connected layers, each with a ReLU.

    `ConvFCHead()` is the head of two layers of 1024 units that everybody uses on a pyramid,
    `ConvFCHead((256,) * 4, (1024,), norm="batch")` the one of four convolutions.

    Args:
        convolutions: filters of the convolutions, which keep the size of the region.
        hidden: units of the fully connected layers, at least one.
        norm: norm after every convolution, as for `keras_resnet.ResNet`: `"batch"`,
            `"sync_batch"`, `"frozen"`, `"group"` or a dict; `None` for none, the convolutions
            then have biases.

    Input: pooled regions `[R, S, S, C]`.
    Output: tensor `[R, hidden[-1]]`.

    Raises:
        ValueError: without a fully connected layer, or for a norm without convolutions.

    Reference:
        Lin et al., "Feature Pyramid Networks" (2017), section 5.2; Wu and He, "Group
        Normalization" (2018), section 4.2 (four convolutions).

    Example:

    >>> head = ConvFCHead((8, 8), (16,), norm={"kind": "group", "groups": 4})
    >>> tuple(head(np.zeros((5, 7, 7, 4), "float32")).shape)
    (5, 16)
    """

    def __init__(self, convolutions=(), hidden=(1024, 1024), norm=None, **kwargs):
        super().__init__(**kwargs)
        self.convolutions = tuple(convolutions)
        self.hidden = tuple(hidden)
        self.norm = norm
        if not self.hidden:
            raise ValueError(
                f"`hidden` needs at least one fully connected layer. Received: hidden={hidden}"
            )
        if norm is not None and not self.convolutions:
            raise ValueError(
                "Norms follow convolutions, of which there are none; leave `norm` out. "
                f"Received: norm={norm!r}, convolutions=()"
            )
        # Two lists, for Keras to find the layers in.
        self.convs, self.norms = [], []
        for number, filters in enumerate(self.convolutions, start=1):
            conv, after = make_unit(
                filters,
                3,
                norm,
                number,
                data_format="channels_last",
                dtype=self.dtype_policy,
            )
            self.convs.append(conv)
            if after is not None:
                self.norms.append(after)
        # As the reference: Kaiming uniform with a = 1.
        self.dense = [
            keras.layers.Dense(
                units,
                activation="relu",
                kernel_initializer=keras.initializers.VarianceScaling(
                    1.0, mode="fan_in", distribution="uniform"
                ),
                name=f"dense_{number}",
                dtype=self.dtype_policy,
            )
            for number, units in enumerate(self.hidden, start=1)
        ]

    @property
    def units(self):
        """The (convolution, norm or None) pairs, in order."""
        return tuple(zip(self.convs, self.norms or [None] * len(self.convs)))

    def build(self, input_shape):
        _, height, width, channels = build_units(self.units, tuple(input_shape))
        units = height * width * channels
        for layer in self.dense:
            layer.build((None, units))
            units = layer.units
        self.freeze_parts()

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.hidden[-1])

    def call(self, inputs, training=None):
        # Keras hands `training` on to the norms.
        x = inputs
        for conv, norm in self.units:
            x = conv(x)
            x = ops.relu(x if norm is None else norm(x))
        # Flattened in the order (y, x, channel).
        x = ops.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3]))
        for layer in self.dense:
            x = layer(x)
        return x

    def get_config(self):
        return {
            **super().get_config(),
            "convolutions": list(self.convolutions),
            "hidden": list(self.hidden),
            "norm": self.norm,
        }


@keras.saving.register_keras_serializable(package="detection")
class StageHead(keras.layers.Layer):
    """The last layers of a backbone, conv5, applied to every region and averaged over it.

    Args:
        layers: list of layers, for example the residual blocks of a `keras_resnet.ResNet` that
            come after the feature map which is pooled. They are used as they are, with their
            weights and what of them is frozen.

    Input: pooled regions `[R, S, S, C]`.
    Output: float32 tensor `[R, channels of the last layer]`.

    Raises:
        ValueError: without layers.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", appendix A; Ren et al.,
        "Object Detection Networks on Convolutional Feature Maps" (2015).

    Example:

    >>> head = StageHead([keras_resnet.BasicBlock(8, stride=2)])
    >>> tuple(head(np.zeros((5, 14, 14, 4), "float32")).shape)
    (5, 8)
    """

    def __init__(self, layers, **kwargs):
        super().__init__(**kwargs)
        if not layers:
            raise ValueError(
                "`layers` must hold the layers that come after the pooled feature map, at least "
                f"one. Received: layers={layers}"
            )
        self.stages = list(layers)

    def build(self, input_shape):
        shape = tuple(input_shape)
        for layer in self.stages:
            if not layer.built:  # layers of a backbone are, with its weights
                layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        for layer in self.stages:
            shape = layer.compute_output_shape(shape)
        return (shape[0], shape[-1])

    def call(self, inputs, training=None):
        # Keras hands `training` on to the norms.
        x = inputs
        for layer in self.stages:
            x = layer(x)
        return ops.mean(ops.cast(x, "float32"), axis=(1, 2))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {**super().get_config(), "layers": [serialize(layer) for layer in self.stages]}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["layers"] = [
            keras.saving.deserialize_keras_object(layer) for layer in config["layers"]
        ]
        return cls(**config)
