"""The feature pyramid network (Lin et al. 2017, arXiv:1612.03144)."""

import keras
from keras import ops

from detection import _tensorflow
from keras_resnet.normalization import make_norm

# c2_xavier_fill of the reference: uniform, variance 1 / fan-in.
_XAVIER_FAN_IN = {"scale": 1.0, "mode": "fan_in", "distribution": "uniform"}


def _unit(filters, kernel_size, norm, name, dtype):
    """A convolution and the norm after it, or None."""
    convolution = keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=norm is None,
        kernel_initializer=keras.initializers.VarianceScaling(**_XAVIER_FAN_IN),
        name=name,
        dtype=dtype,
    )
    if norm is None:
        return convolution, None
    return convolution, make_norm(
        norm, data_format="channels_last", name=f"{name}_norm", dtype=dtype
    )


def _apply(unit, x, training):
    convolution, norm = unit
    x = convolution(x)
    return x if norm is None else norm(x, training=training)


@keras.saving.register_keras_serializable(package="detection")
class FeaturePyramid(keras.layers.Layer):
    """Top-down pathway with lateral connections, plus one pooled level.

    `C2…C5` become `P2…P5` of equal width: a 1x1 lateral convolution, addition of
    the upsampled coarser level, a 3x3 output convolution. `P6` is `P5` at every
    second position.

    Args:
        levels: names of the input levels, finest first, e.g.
            `("C2", "C3", "C4", "C5")`; each must have half the resolution of
            the one before.
        filters: int, channels of every output level.
        norm: norm after every convolution, as for `keras_resnet.ResNet`: `"batch"`,
            `"sync_batch"`, `"frozen"`, `"group"` or a dict; `None` for none, the convolutions
            then have biases.

    Input: dict of tensors `[B, H_l, W_l, C_l]` by level name.
    Output: list of tensors `[B, H_l, W_l, filters]`, finest first, one more
    than there are input levels.

    Reference:
        Lin et al., "Feature Pyramid Networks for Object Detection", section 3.

    Example:

    ```python
    backbone = keras_resnet.ResNet18(include_top=False)
    features = keras_resnet.feature_extractor(backbone, ("C2", "C3", "C4", "C5"))
    pyramid = FeaturePyramid(("C2", "C3", "C4", "C5"), filters=128)
    p2, p3, p4, p5, p6 = pyramid(features(images))
    ```
    """

    def __init__(self, levels=("C2", "C3", "C4", "C5"), filters=256, norm=None, **kwargs):
        super().__init__(**kwargs)
        if not levels:
            raise ValueError(f"`levels` must name at least one level. Received: levels={levels}")
        self.levels = tuple(levels)
        self.filters = int(filters)
        names = [name.replace("C", "P", 1) for name in self.levels]
        self.norm = norm
        shared = {"norm": norm, "dtype": self.dtype_policy}
        laterals = [_unit(self.filters, 1, name=f"{name}_lateral", **shared) for name in names]
        outputs = [_unit(self.filters, 3, name=f"{name}_output", **shared) for name in names]
        # Separate lists, for Keras to find the layers in.
        self.laterals, self.lateral_norms = _columns(laterals)
        self.outputs, self.output_norms = _columns(outputs)

    @property
    def lateral_units(self):
        """The (convolution, norm or None) pairs of the lateral connections, finest first."""
        return tuple(zip(self.laterals, self.lateral_norms or [None] * len(self.laterals)))

    @property
    def output_units(self):
        """The (convolution, norm or None) pairs of the outputs, finest first."""
        return tuple(zip(self.outputs, self.output_norms or [None] * len(self.outputs)))

    @property
    def units(self):
        """All (convolution, norm or None) pairs, for folding the norms."""
        return (*self.lateral_units, *self.output_units)

    def build(self, input_shape):
        out = (None, None, None, self.filters)
        for name, lateral, output in zip(self.levels, self.laterals, self.outputs):
            lateral.build((None, None, None, input_shape[name][-1]))
            output.build(out)
        for norm in (*self.lateral_norms, *self.output_norms):
            norm.build(out)
        self.built = True

    def call(self, features, training=False):
        merged = [
            _apply(unit, features[name], training)
            for name, unit in zip(self.levels, self.lateral_units)
        ]
        for index in range(len(merged) - 2, -1, -1):
            merged[index] = merged[index] + _upsample_like(merged[index + 1], merged[index])
        pyramid = [_apply(unit, x, training) for unit, x in zip(self.output_units, merged)]
        pyramid.append(pyramid[-1][:, ::2, ::2])
        return pyramid

    def compute_output_shape(self, input_shape):
        shapes = [(*input_shape[name][:3], self.filters) for name in self.levels]
        batch, *size = shapes[-1][:3]
        shapes.append((batch, *(None if s is None else -(-s // 2) for s in size), self.filters))
        return shapes

    def get_config(self):
        return {
            **super().get_config(),
            "levels": list(self.levels),
            "filters": self.filters,
            "norm": self.norm,
        }


def _columns(units):
    convolutions, norms = zip(*units)
    return list(convolutions), [norm for norm in norms if norm is not None]


def _upsample_like(coarse, fine):
    """Nearest neighbour, factor 2, cut to the finer map where its size is odd."""
    size = ops.shape(fine)[1:3]
    if not _tensorflow.kernels_available():
        return _repeat(coarse, size)

    # TensorFlow's own gradient is a slow reduction of six dimensions.
    @ops.custom_gradient
    def upsample(coarse):
        return _repeat(coarse, size), lambda upstream: _sum_of_blocks(upstream, size)

    return upsample(coarse)


def _repeat(coarse, size):
    batch, height, width, channels = ops.shape(coarse)
    x = ops.broadcast_to(
        ops.reshape(coarse, (batch, height, 1, width, 1, channels)),
        (batch, height, 2, width, 2, channels),
    )
    x = ops.reshape(x, (batch, 2 * height, 2 * width, channels))
    if all(isinstance(n, int) for n in size) and tuple(size) == x.shape[1:3]:
        return x
    return x[:, : size[0], : size[1]]


def _sum_of_blocks(fine, size):
    """Sums of 2x2 blocks; the last row or column of blocks is cut where the size is odd."""
    means = ops.average_pool(fine, 2, strides=2, padding="same")
    rows, columns = (ops.minimum(n - 2 * ops.arange((n + 1) // 2), 2) for n in size)
    return means * ops.cast(rows[:, None] * columns, means.dtype)[..., None]
