import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.shortcuts import ZeroPadShortcut, make_shortcut

BLOCKS = [keras_resnet.BasicBlock, keras_resnet.BottleneckBlock]


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("block_class", BLOCKS)
@pytest.mark.parametrize("shortcut", ["projection", "zero_pad", "projection_all"])
def test_shapes_are_those_announced(block_class, shortcut):
    block = block_class(4, stride=2, shortcut=shortcut)
    outputs = block(images(2, 7, 10, 4))
    # floor((n + 2 * 1 - 3) / 2) + 1, by torch's documentation of its convolution
    assert tuple(outputs.shape) == (2, 4, 5, 4 * block.expansion)
    assert block.compute_output_shape((2, 7, 10, 4)) == tuple(outputs.shape)
    assert block.compute_output_shape((None, None, None, 4))[:3] == (None, None, None)


@pytest.mark.parametrize("block_class", BLOCKS)
def test_build_alone_creates_every_weight(block_class):
    block = block_class(4, stride=2)
    block.build((None, None, None, 3))
    built = [w.path for w in block.weights]
    block(images(1, 6, 6, 3))
    assert [w.path for w in block.weights] == built
    convolutions = 3 if block_class is keras_resnet.BasicBlock else 4
    assert len(built) == 5 * convolutions  # each a kernel and a norm of four


@pytest.mark.parametrize("block_class", BLOCKS)
def test_zero_init_makes_the_block_its_shortcut(block_class):
    x = images(2, 5, 5, 16)
    block = block_class(16 // block_class.expansion)
    np.testing.assert_allclose(block(x), np.maximum(x, 0), atol=1e-6)
    other = block_class(16 // block_class.expansion, zero_init_residual=False)
    assert np.abs(other(x) - np.maximum(x, 0)).max() > 0.1


def test_option_a_equals_numpy():
    x = images(2, 5, 6, 3)
    expected = np.zeros((2, 3, 3, 5), "float32")
    expected[..., :3] = x[:, ::2, ::2]
    last = ZeroPadShortcut(5, stride=2, data_format="channels_last")
    np.testing.assert_array_equal(last(x), expected)
    first = ZeroPadShortcut(5, stride=2, data_format="channels_first")
    np.testing.assert_array_equal(first(x.transpose(0, 3, 1, 2)), expected.transpose(0, 3, 1, 2))


def test_which_shortcut_has_weights():
    assert make_shortcut("projection", 8, 8) is None
    assert make_shortcut("zero_pad", 8, 8) is None
    assert make_shortcut("projection_all", 8, 8).filters == 8
    with pytest.raises(ValueError, match="cannot reduce"):
        make_shortcut("zero_pad", 8, 4, name="shortcut")(images(1, 2, 2, 8))


@pytest.mark.parametrize("stride_in,where", [("3x3", "conv2"), ("1x1", "conv1")])
def test_stride_in(stride_in, where):
    block = keras_resnet.BottleneckBlock(4, stride=2, stride_in=stride_in)
    strided = [c.name for c, _ in block.units if c.strides == (2, 2)]
    assert strided == [where]


def test_stochastic_depth_skips_whole_images_in_training_only():
    keras.utils.set_random_seed(3)
    block = keras_resnet.BasicBlock(4, stochastic_depth=0.5, zero_init_residual=False)
    x = images(64, 3, 3, 4)
    kept = block(x, training=False)
    np.testing.assert_array_equal(kept, block(x, training=False))
    skipped = np.all(np.isclose(block(x, training=True), np.maximum(x, 0)), axis=(1, 2, 3))
    # 64 draws with probability one half leave this range once in ten thousand seeds
    assert 16 <= skipped.sum() <= 48


@pytest.mark.parametrize("block_class", BLOCKS)
def test_config_round_trip(block_class):
    block = block_class(
        4,
        stride=2,
        dilation=2,
        shortcut="zero_pad",
        norm={"kind": "group", "groups": 2},
        zero_init_residual=False,
        stochastic_depth=0.25,
        data_format="channels_last",
        name="b",
        dtype="mixed_bfloat16",
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    assert type(again) is block_class
    assert again.get_config() == block.get_config()


@pytest.mark.parametrize(
    "arguments,match",
    [
        ({"stochastic_depth": 1.0}, "Received: stochastic_depth=1.0"),
        ({"data_format": "NHWC"}, "Received: data_format='NHWC'"),
        ({"stride_in": "2x2"}, "Received: stride_in='2x2'"),
    ],
)
def test_bad_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        keras_resnet.BottleneckBlock(4, **arguments)


def test_padding_equals_a_naive_convolution():
    from keras_resnet.convolution import PaddedConv2D

    x = images(1, 6, 5, 2)
    for size, stride, dilation in [(3, 2, 1), (7, 2, 1), (3, 1, 2), (1, 2, 1)]:
        layer = PaddedConv2D(3, size, strides=stride, dilation_rate=dilation)
        ours = np.array(layer(x))
        kernel = np.array(layer.kernel)
        pad = dilation * (size - 1) // 2
        padded = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
        reach = dilation * (size - 1) + 1
        assert ours.shape == layer.compute_output_shape(x.shape)
        for i in range(ours.shape[1]):
            for j in range(ours.shape[2]):
                y0, x0 = i * stride, j * stride
                window = padded[0, y0 : y0 + reach : dilation, x0 : x0 + reach : dilation]
                expected = np.einsum("hwc,hwco->o", window, kernel)
                np.testing.assert_allclose(ours[0, i, j], expected, atol=1e-5)


def test_convolution_config_round_trip():
    from keras_resnet.convolution import PaddedConv2D

    layer = PaddedConv2D(3, 5, strides=2, data_format="channels_last", name="c")
    again = PaddedConv2D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="kernel_size=2"):
        PaddedConv2D(3, 2)


def test_standardized_kernels_have_mean_zero_and_variance_one():
    from keras_resnet.convolution import PaddedConv2D, StandardizedConv2D

    x = images(2, 6, 7, 3)
    ours, plain = StandardizedConv2D(4, 3, strides=2), PaddedConv2D(4, 3, strides=2)
    outputs = ours(x)
    plain(x)
    kernel = 3.0 + 0.01 * images(3, 3, 3, 4, seed=1)
    ours.kernel.assign(kernel)
    wide = kernel.astype("float64")
    mean, variance = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
    plain.kernel.assign((wide - mean) / np.sqrt(variance + 1e-6))
    outputs = ours(x)
    np.testing.assert_allclose(outputs, plain(x), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(ours.kernel, kernel)


def test_weight_standardization_reaches_every_convolution_before_a_norm():
    from keras_resnet.convolution import PaddedConv2D, StandardizedConv2D

    norm = {"kind": "group", "groups": 2, "weight_standardization": True}
    model = keras_resnet.ResNet((1, 1), width=8, norm=norm, classes=3)
    convolutions = [c for c in model._flatten_layers() if isinstance(c, PaddedConv2D)]
    assert len(convolutions) == 1 + 2 * 4
    assert all(isinstance(c, StandardizedConv2D) for c in convolutions)
