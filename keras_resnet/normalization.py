"""Normalization layers: batch (fused where the backend can), synchronized, frozen, group."""

import functools

import keras

from keras_resnet._arguments import channel_axis, choose
from keras_resnet._batch_norm import can_fuse, fused, plain
from keras_resnet.channel_bias import ChannelBias
from keras_resnet.replicas import sum_over_replicas

MOMENTUM = 0.9
EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="keras_resnet")
class BatchNormalization(keras.layers.Layer):
    """Batch normalization that keeps 16-bit activations in 16 bits and computes in float32.

    On TensorFlow one fused operation does the work, in training and inference, forward and
    backward; elsewhere, and for `channels_first` on a TensorFlow without GPU, the plain formula
    does. Statistics, gamma and beta are always float32 (float64 under a float64 policy).

    As in torch, the batch is normalized by its biased variance while the moving variance is
    updated with the unbiased one (divided by n - 1). `trainable = False` means inference mode:
    the moving statistics are used and stay as they are, whatever `training` says.

    Args:
        axis: int, axis of the channels; -1 or 1.
        momentum: float, share of the old moving statistics kept in a step (torch's 0.1 is 0.9).
        epsilon: float ≥ 0, added to the variance.
        gamma_initializer: initializer of the scale; `"zeros"` for the last norm of a block.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `[B, H, W, C]`, or `[B, C, H, W]` with `axis=1`, floating.
        training: bool; True normalizes by the batch and updates the moving statistics.

    Returns:
        Tensor of the shape of `inputs` and of the compute dtype.

    Reference:
        [Ioffe and Szegedy, 2015, section 3](https://arxiv.org/abs/1502.03167)

    Example:

    >>> layer = keras_resnet.normalization.BatchNormalization()
    >>> tuple(layer(np.ones((2, 4, 4, 3), "float32"), training=True).shape)
    (2, 4, 4, 3)
    """

    def __init__(
        self, axis=-1, momentum=MOMENTUM, epsilon=EPSILON, gamma_initializer="ones", **kwargs
    ):
        super().__init__(**kwargs)
        if axis not in (-1, 1, 3):
            raise ValueError(f"The channels must be on axis -1 or 1. Received: axis={axis}")
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"`momentum` must be in [0, 1]. Received: momentum={momentum}")
        if epsilon < 0:
            raise ValueError(f"`epsilon` must not be negative. Received: epsilon={epsilon}")
        self.axis = -1 if axis == 3 else axis
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    # The frozen form sets the first to False, the synchronized form the second to True.
    _affine_is_trainable = True
    _synchronized = False

    def build(self, input_shape):
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                "The number of channels must be known to build the layer. "
                f"Received: input_shape={input_shape}"
            )
        dtype = "float64" if self.variable_dtype == "float64" else "float32"
        shared = {"shape": (channels,), "dtype": dtype, "autocast": False}
        affine = {**shared, "trainable": self._affine_is_trainable}
        # Replicas average their statistics, which are updated from each one's own batch.
        moving = {**shared, "trainable": False, "aggregation": "mean"}
        self.gamma = self.add_weight(name="gamma", initializer=self.gamma_initializer, **affine)
        self.beta = self.add_weight(name="beta", initializer="zeros", **affine)
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **moving)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **moving)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={self.axis: channels})

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs, training=False):
        by_batch = bool(training) and self.trainable and self._affine_is_trainable
        if by_batch and self._synchronized:
            normalize = functools.partial(plain, total=sum_over_replicas)
        else:
            normalize = fused if can_fuse(inputs, self.axis) else plain
        outputs, mean, variance = normalize(
            inputs,
            self.gamma,
            self.beta,
            None if by_batch else (self.moving_mean, self.moving_variance),
            self.epsilon,
            self.axis,
        )
        if by_batch:
            keep = self.momentum
            self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
            self.moving_variance.assign(self.moving_variance * keep + variance * (1.0 - keep))
        return outputs

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }


@keras.saving.register_keras_serializable(package="keras_resnet")
class FrozenBatchNormalization(BatchNormalization):
    """Batch normalization whose statistics, scale and offset never change.

    For fine-tuning pretrained networks with few images per step, as detectors do. All four
    weights are non-trainable, and unlike `trainable = False` this survives `model.trainable =
    True`. Its weights have the names and order of `BatchNormalization`, so files fit both.

    Args:
        axis, epsilon, gamma_initializer, **kwargs: as in `BatchNormalization`.

    Example:

    >>> layer = keras_resnet.normalization.FrozenBatchNormalization()
    >>> _ = layer(np.ones((2, 4, 4, 3), "float32"), training=True)
    >>> len(layer.trainable_weights)
    0
    """

    _affine_is_trainable = False

    def __init__(self, axis=-1, epsilon=EPSILON, gamma_initializer="ones", **kwargs):
        super().__init__(axis=axis, epsilon=epsilon, gamma_initializer=gamma_initializer, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["momentum"]
        return config


@keras.saving.register_keras_serializable(package="keras_resnet")
class SyncBatchNormalization(BatchNormalization):
    """Batch normalization by the batches of all replicas together, for few images per device.

    On TensorFlow the sums are exchanged under `MirroredStrategy` and the like. On JAX one program
    sees the whole batch of `keras.distribution.DataParallel`, so there `BatchNormalization` is
    synchronized as well and this is the same. It gives up the fused operation in training. Its
    weights have the names and order of `BatchNormalization`, so files fit both.

    Args:
        axis, momentum, epsilon, gamma_initializer, **kwargs: as in `BatchNormalization`.

    Reference:
        [Peng et al., 2017, section 3.3](https://arxiv.org/abs/1711.07240)

    Example:

    >>> layer = keras_resnet.normalization.SyncBatchNormalization()
    >>> tuple(layer(np.ones((2, 4, 4, 3), "float32"), training=True).shape)
    (2, 4, 4, 3)
    """

    _synchronized = True


def make_norm(norm, zero_gamma=False, data_format=None, **kwargs):
    """Create the normalization layer that `norm` describes.

    Args:
        norm: `"batch"`, `"sync_batch"`, `"frozen"`, `"group"`, or a dict with the key `"kind"` and
            options: `momentum` and `epsilon` for batch and sync_batch, `epsilon` for frozen,
            `groups` (default 32), `epsilon` and `weight_standardization` (default False; it is
            the convolutions that heed it) for group.
        zero_gamma: bool, start the scale at zero (the last norm of a residual branch).
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        **kwargs: `name` and `dtype` of the layer.

    Returns:
        A Keras layer.

    Raises:
        ValueError: for an unknown kind or option.

    Example:

    >>> make_norm({"kind": "group", "groups": 8}).groups
    8
    """
    kind, options = _parse(norm)
    layer_class, defaults = NORMS[kind]
    return layer_class(
        axis=channel_axis(data_format or keras.config.image_data_format()),
        gamma_initializer="zeros" if zero_gamma else "ones",
        **{**defaults, **options},
        **kwargs,
    )


def _group(weight_standardization, **kwargs):
    return keras.layers.GroupNormalization(**kwargs)


def _channel_bias(gamma_initializer, kept, **kwargs):
    # There is no scale to initialize. `kept` is the norm where none can be folded.
    return ChannelBias(**kwargs)


# kind: (layer, options with their defaults)
NORMS = {
    "batch": (BatchNormalization, {"momentum": MOMENTUM, "epsilon": EPSILON}),
    "sync_batch": (SyncBatchNormalization, {"momentum": MOMENTUM, "epsilon": EPSILON}),
    "frozen": (FrozenBatchNormalization, {"epsilon": EPSILON}),
    "group": (_group, {"groups": 32, "epsilon": EPSILON, "weight_standardization": False}),
    # What `inference_copy.fold_norms` rebuilds a network with; not a norm to train with.
    "folded": (_channel_bias, {"kept": None}),
}
_TRAINABLE = tuple(kind for kind in NORMS if kind != "folded")


def default_options(norm):
    """Return the options of `norm`, with the defaults of those that it leaves out."""
    kind, options = _parse(norm)
    return {**NORMS[kind][1], **options}


def standardizes_weights(norm):
    """Tell whether `norm` asks for convolutions with standardized kernels."""
    return _parse(norm)[1].get("weight_standardization", False)


def _parse(norm):
    """Split `norm` into its kind and a dict of options, refusing unknown ones."""
    options = dict(norm) if isinstance(norm, dict) else {"kind": norm}
    kind = options.pop("kind", None)
    if kind != "folded":
        choose("norm", kind, _TRAINABLE)
    for option in options:
        choose(f"option of norm {kind!r}", option, tuple(NORMS[kind][1]))
    return kind, options


def unfoldable(norm):
    """Return `norm` for a layer that no convolution precedes, where export folds the others."""
    return norm.get("kept", norm) if isinstance(norm, dict) else norm
