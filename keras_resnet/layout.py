"""How the layers of a network follow each other: input, stem, stages, head."""

import math

import keras

from keras_resnet._arguments import choose
from keras_resnet.blocks import BottleneckBlock
from keras_resnet.normalization import make_norm, unfoldable
from keras_resnet.preactivation import BLOCKS, PreActivationBlock
from keras_resnet.stem import make_stem


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
    stride_at,
    output_stride,
    norm,
    stochastic_depth,
    include_top,
    classes,
    classifier_activation,
    pooling,
    data_format,
    dtype,
    stride_in,
    **options,
):
    """Apply the layers of a residual network to `images`; the arguments are those of `ResNet`."""
    shared = {"norm": norm, "data_format": data_format, "dtype": dtype}
    block_class = BLOCKS[choose("block", block, tuple(BLOCKS))]
    if issubclass(block_class, BottleneckBlock):
        options["stride_in"] = stride_in
    elif stride_in != "3x3":
        raise ValueError(
            "Basic blocks have no 1x1 convolution to carry the stride; leave `stride_in` at "
            f"'3x3'. Received: stride_in={stride_in!r}"
        )
    stem_layer = make_stem(stem, width, name="stem", **shared)
    x = stem_layer(images)
    places = list(_places(stage_blocks, stem_layer.total_stride, output_stride, stride_at))
    for made, (stage, number, stride, dilation) in enumerate(places, start=1):
        x = block_class(
            width * 2**stage,
            stride=stride,
            dilation=dilation,
            stochastic_depth=stochastic_depth * made / len(places),
            name=f"stage{stage + 2}_block{number}",
            **options,
            **shared,
        )(x)
    if issubclass(block_class, PreActivationBlock):
        x = make_norm(unfoldable(norm), data_format=data_format, dtype=dtype, name="post_norm")(x)
        x = keras.layers.ReLU(dtype=dtype, name="post_relu")(x)
    return _head(x, include_top, classes, classifier_activation, pooling, data_format, dtype)


def check_stages(stage_blocks):
    """Return `stage_blocks` as a tuple of positive ints, or refuse it."""
    is_sequence = isinstance(stage_blocks, (list, tuple)) and len(stage_blocks) > 0
    if not is_sequence or any(not isinstance(n, int) or n < 1 for n in stage_blocks):
        raise ValueError(
            "`stage_blocks` must hold the number of blocks of each stage, at least one each. "
            f"Received: stage_blocks={stage_blocks!r}"
        )
    return tuple(stage_blocks)


def _places(stage_blocks, total_stride, output_stride, stride_at):
    """Yield (stage from 0, number in it from 1, stride, dilation) for every block in order."""
    doublings = 0 if output_stride is None else math.log2(max(output_stride, 1) / total_stride)
    if doublings < 0 or doublings % 1:
        raise ValueError(
            f"`output_stride` must be the stem's stride of {total_stride}, or that doubled once "
            f"or more. Received: output_stride={output_stride}"
        )
    choose("stride_at", stride_at, ("first", "last"))
    dilation = 1
    for stage, blocks in enumerate(stage_blocks):
        # Both ways stride once between two stages.
        if stride_at == "first":
            strided = 1 if stage > 0 else None
        else:
            strided = blocks if stage + 1 < len(stage_blocks) else None
        for number in range(1, blocks + 1):
            if number != strided:
                yield stage, number, 1, dilation
            elif output_stride is None or total_stride * 2 <= output_stride:
                total_stride *= 2
                yield stage, number, 2, dilation
            else:
                # Up to where it would stride, the block sees pixels as before.
                yield stage, number, 1, (dilation, dilation * 2)
                dilation *= 2


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
