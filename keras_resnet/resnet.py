"""ResNet, a functional `keras.Model` with its own config."""

import copy

import keras

from keras_resnet._arguments import choose, standardize_data_format
from keras_resnet.blocks import BLOCKS
from keras_resnet.features import last_layers
from keras_resnet.stem import Stem, parse_stem


@keras.saving.register_keras_serializable(package="keras_resnet")
class ResNet(keras.Model):
    """A residual network: a stem, stages of residual blocks, and optionally a classifier.

    A functional model. Its layers are `stem`, `stage2_block1`, `stage2_block2`, …, `avg_pool` and
    `predictions`; the output of stage k is the feature map "Ck" of `feature_extractor`. Stage k
    has `width * 2**(k - 2)` filters per block, and every stage but the first halves the image.
    The constructor opens no file: pretrained weights are for `ResNet50` and the like, or
    `keras_resnet.load_weights`.

    Args:
        stage_blocks: tuple of ints, blocks per stage.
        block: `"bottleneck"` or `"basic"`.
        width: int, channels of the stem and filters of the first stage.
        stem: `"imagenet"` (7x7 convolution of stride 2, max-pool of stride 2), `"3x3"` (one 3x3
            convolution of stride 1, for small images), or a dict of `kernel_size`, `stride` and
            `pool`; keys left out are those of `"3x3"`.
        shortcut: `"projection"` (option B of the paper), `"zero_pad"` (A) or `"projection_all"`
            (C).
        stride_in: the convolution of a bottleneck that carries the stride: `"3x3"` ("v1.5") or
            `"1x1"` (the paper).
        norm: `"batch"`, `"frozen"` (batch norm that never changes, to be filled from trained
            weights), `"group"`, or a dict of `"kind"` and its options, for example
            `{"kind": "group", "groups": 16}`.
        zero_init_residual: bool, start the last scale of every block at zero.
        stochastic_depth: float, probability of skipping the last block's branch for an image in
            training; it grows linearly from the first block.
        output_stride: int or None. Where a stage would exceed this stride, it dilates its
            convolutions instead of striding.
        include_top: bool, end with average pooling and the classifier.
        classes: int, outputs of the classifier.
        classifier_activation: str, callable or None (logits), computed in float32.
        pooling: `"avg"`, `"max"` or None: pooling of the last feature map without classifier.
        input_shape: tuple without the batch, with None for free sizes; by default free sizes and
            3 channels.
        input_tensor: a `keras.Input` to build on instead.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        dtype: str or `keras.DTypePolicy` of all layers; None for the global policy.
        name: str.
        trainable: bool; False freezes every layer.

    Call arguments:
        inputs: images `[B, H, W, 3]`, float or uint8, preprocessed as the weights want.

    Returns:
        With `include_top`, float32 `[B, classes]`; else the last feature map, pooled if asked.

    Raises:
        ValueError: for arguments outside these choices.

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1512.03385)

    Example:

    >>> model = keras_resnet.ResNet((1, 1, 1), block="basic", width=16, stem="3x3", classes=10)
    >>> tuple(model(np.zeros((2, 32, 32, 3), "uint8")).shape)
    (2, 10)
    """

    def __init__(
        self,
        stage_blocks=(3, 4, 6, 3),
        block="bottleneck",
        *,
        width=64,
        stem="imagenet",
        shortcut="projection",
        stride_in="3x3",
        norm="batch",
        zero_init_residual=True,
        stochastic_depth=0.0,
        output_stride=None,
        include_top=True,
        classes=1000,
        classifier_activation="softmax",
        pooling=None,
        input_shape=None,
        input_tensor=None,
        data_format=None,
        dtype=None,
        name="resnet",
        trainable=True,
    ):
        arguments = {
            "stage_blocks": tuple(stage_blocks),
            "block": block,
            "width": width,
            "stem": stem,
            "shortcut": shortcut,
            "stride_in": stride_in,
            "norm": norm,
            "zero_init_residual": zero_init_residual,
            "stochastic_depth": stochastic_depth,
            "output_stride": output_stride,
            "include_top": include_top,
            "classes": classes,
            "classifier_activation": classifier_activation,
            "pooling": pooling,
            "data_format": standardize_data_format(data_format),
            "dtype": keras.dtype_policies.get(dtype),
        }
        images = make_input(input_shape, input_tensor, arguments["data_format"])
        super().__init__(images, connect(images, **arguments), name=name)
        self.dtype_policy = arguments["dtype"]
        if not trainable:
            self.trainable = False
        self._arguments = {**arguments, "input_shape": tuple(images.shape[1:])}

    @property
    def architecture(self):
        """The constructor's arguments as resolved, without the input and the name."""
        arguments = copy.deepcopy(dict(self._arguments))
        del arguments["input_shape"]
        return arguments

    @property
    def preprocessing(self):
        """The `style` of `preprocess_input` that the loaded weights want; None if unknown."""
        return self.get_layer("stem").preprocessing

    @property
    def pyramid_level_inputs(self):
        """The layers behind the levels P2, P3, … of a feature pyramid, as keras-cv asks for."""
        return {f"P{name[1:]}": layer.name for name, layer in last_layers(self).items()}

    def get_config(self):
        config = copy.deepcopy(dict(self._arguments))
        activation = keras.activations.get(config["classifier_activation"])
        config["classifier_activation"] = keras.activations.serialize(activation)
        config["dtype"] = keras.dtype_policies.serialize(config["dtype"])
        frozen = [path for path, layer in _sublayers(self) if not layer.trainable]
        return {
            **config,
            "name": self.name,
            "trainable": self.trainable,
            "frozen": frozen,
            "preprocessing": self.preprocessing,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        # What was frozen stays so, or else a saved optimizer would not fit the reloaded model.
        frozen = config.pop("frozen", ())
        preprocessing = config.pop("preprocessing", None)
        activation = config.get("classifier_activation")
        config["classifier_activation"] = keras.activations.get(activation)
        model = cls(**config)
        for path, layer in _sublayers(model):
            if path in frozen:
                layer.trainable = False
        model.get_layer("stem").preprocessing = preprocessing
        return model


def _sublayers(layer, prefix=""):
    """Yield (path of names, layer) for every layer inside `layer`, parents first."""
    for child in layer._layers:
        yield f"{prefix}{child.name}", child
        yield from _sublayers(child, f"{prefix}{child.name}/")


def make_input(input_shape, input_tensor, data_format):
    """Return the `keras.Input` that `input_shape` describes, or `input_tensor` after checks."""
    if input_tensor is None:
        if input_shape is None:
            input_shape = (None, None, 3) if data_format == "channels_last" else (3, None, None)
        input_shape = tuple(input_shape)
        channels = input_shape[0 if data_format == "channels_first" else -1]
        if len(input_shape) != 3 or channels is None:
            raise ValueError(
                "`input_shape` must have height, width and a known number of channels, without "
                f"the batch. Received: input_shape={input_shape}"
            )
        return keras.Input(input_shape, name="images", dtype="float32")
    if not keras.utils.is_keras_tensor(input_tensor):
        raise ValueError(
            "`input_tensor` must be a symbolic tensor, such as `keras.Input(...)`. "
            f"Received: input_tensor={input_tensor}"
        )
    shape = tuple(input_tensor.shape[1:])
    if input_shape is not None and tuple(input_shape) != shape:
        raise ValueError(
            "`input_shape` contradicts `input_tensor`; pass only one of them. "
            f"Received: input_shape={tuple(input_shape)}, input_tensor of shape {shape}"
        )
    return input_tensor


def connect(
    images,
    *,
    stage_blocks,
    block,
    width,
    stem,
    shortcut,
    stride_in,
    norm,
    zero_init_residual,
    stochastic_depth,
    output_stride,
    include_top,
    classes,
    classifier_activation,
    pooling,
    data_format,
    dtype,
):
    """Apply the layers of a residual network to `images`; the arguments are those of `ResNet`."""
    block_class = BLOCKS[choose("block", block, tuple(BLOCKS))]
    options = {
        "shortcut": shortcut,
        "norm": norm,
        "zero_init_residual": zero_init_residual,
        "data_format": data_format,
        "dtype": dtype,
    }
    if block == "bottleneck":
        options["stride_in"] = stride_in
    elif stride_in != "3x3":
        raise ValueError(
            "Basic blocks have no 1x1 convolution to carry the stride; leave `stride_in` at "
            f"'3x3'. Received: stride_in={stride_in!r}"
        )
    if not stage_blocks or any(not isinstance(n, int) or n < 1 for n in stage_blocks):
        raise ValueError(
            "`stage_blocks` must hold the number of blocks of each stage, at least one each. "
            f"Received: stage_blocks={stage_blocks}"
        )
    stem_layer = Stem(
        width, **parse_stem(stem), norm=norm, data_format=data_format, dtype=dtype, name="stem"
    )
    total_stride = stem_layer.total_stride
    if output_stride is not None and output_stride < total_stride:
        raise ValueError(
            f"`output_stride` cannot be below the stem's stride of {total_stride}. "
            f"Received: output_stride={output_stride}"
        )
    x = stem_layer(images)
    dilation, made = 1, 0
    for i, blocks in enumerate(stage_blocks):
        stride, first_dilation = (1 if i == 0 else 2), dilation
        if output_stride is not None and total_stride * stride > output_stride:
            stride, dilation = 1, dilation * stride
        total_stride *= stride
        for j in range(blocks):
            made += 1
            x = block_class(
                width * 2**i,
                stride=stride if j == 0 else 1,
                # A stage's first block sees pixels as far apart as the stage before left them.
                dilation=first_dilation if j == 0 else dilation,
                stochastic_depth=stochastic_depth * made / sum(stage_blocks),
                name=f"stage{i + 2}_block{j + 1}",
                **options,
            )(x)
    return _head(x, include_top, classes, classifier_activation, pooling, data_format, dtype)


def _head(x, include_top, classes, classifier_activation, pooling, data_format, dtype):
    """Pool and classify, in float32 at least."""
    if pooling is not None:
        choose("pooling", pooling, ("avg", "max"))
    wide = dtype if dtype.compute_dtype == "float64" else "float32"
    shared = {"data_format": data_format, "dtype": wide}
    if include_top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool", **shared)(x)
        return keras.layers.Dense(
            classes, activation=classifier_activation, dtype=wide, name="predictions"
        )(x)
    if pooling == "avg":
        return keras.layers.GlobalAveragePooling2D(name="avg_pool", **shared)(x)
    if pooling == "max":
        return keras.layers.GlobalMaxPooling2D(name="max_pool", **shared)(x)
    return x
