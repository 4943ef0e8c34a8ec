import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.classification.config import load_classifier_config
from keras_resnet.shortcut_layers import AveragePoolShortcut, HighwayShortcut, ZeroPadShortcut
from keras_resnet.shortcuts import make_shortcut


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def conv1x1(layer, x):
    outputs = x @ np.array(layer.kernel)[0, 0]
    return outputs if layer.bias is None else outputs + np.array(layer.bias)


@pytest.mark.parametrize("zeros,front,behind", [("end", 0, 3), ("both", 1, 2)])
def test_where_the_zeros_of_option_a_go(zeros, front, behind):
    x = images(2, 5, 6, 4)
    expected = np.concatenate(
        [np.zeros((2, 3, 3, front)), x[:, ::2, ::2], np.zeros((2, 3, 3, behind))], axis=-1
    )
    last = make_shortcut({"kind": "zero_pad", "zeros": zeros}, 4, 7, 2, data_format="channels_last")
    np.testing.assert_array_equal(last(x), expected)
    first = ZeroPadShortcut(7, 2, zeros, data_format="channels_first")
    np.testing.assert_array_equal(first(x.transpose(0, 3, 1, 2)), expected.transpose(0, 3, 1, 2))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's graphs")
def test_the_zeros_of_option_a_are_not_taken_for_the_padding_of_a_convolution():
    """TensorFlow merges an op Pad with whatever fused convolution reads it, also as a summand."""
    import tensorflow as tf

    layer = ZeroPadShortcut(7, 2, data_format="channels_last")
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec([None, 5, 6, 4])).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "PadV2" in kinds and "Pad" not in kinds


@pytest.mark.parametrize("size", [(6, 4), (5, 7)])
def test_average_pool_shortcut_averages_the_pixels_there_are(size):
    x = images(2, *size, 3)
    layer = AveragePoolShortcut(5, stride=2, data_format="channels_last")
    outputs = np.array(layer(x))
    assert outputs.shape == layer.compute_output_shape(x.shape)
    averaged = np.zeros((2, -(-size[0] // 2), -(-size[1] // 2), 3))
    for i in range(averaged.shape[1]):
        for j in range(averaged.shape[2]):
            averaged[:, i, j] = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((1, 2))
    expected = conv1x1(layer.conv, averaged) / np.sqrt(1 + layer.norm.epsilon)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_without_stride_no_pixels_are_averaged():
    x = images(1, 3, 3, 2)
    layer = AveragePoolShortcut(4, stride=1, norm=None)
    np.testing.assert_allclose(layer(x), conv1x1(layer.conv, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_highway_mixes_by_its_gate(data_format):
    x, h = images(2, 5, 4, 3), images(2, 3, 2, 5, seed=1)
    layer = HighwayShortcut(5, stride=2, gate_bias=-1.5, data_format=data_format)
    if data_format == "channels_first":
        outputs = layer([x.transpose(0, 3, 1, 2), h.transpose(0, 3, 1, 2)])
        assert layer.compute_output_shape([(2, 3, 5, 4), (2, 5, 3, 2)]) == tuple(outputs.shape)
        outputs = np.array(outputs).transpose(0, 2, 3, 1)
    else:
        outputs = layer([x, h])
        assert layer.compute_output_shape([x.shape, h.shape]) == tuple(outputs.shape)
    np.testing.assert_array_equal(layer.gate.bias, np.full(5, -1.5, "float32"))
    seen = x[:, ::2, ::2]
    t = 1 / (1 + np.exp(-conv1x1(layer.gate, seen)))
    carried = np.concatenate([seen, np.zeros((2, 3, 2, 2))], axis=-1)
    np.testing.assert_allclose(outputs, h * t + carried * (1 - t), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias,expected", [(-100.0, "inputs"), (100.0, "branch")])
def test_a_highway_block_carries_or_transforms(bias, expected):
    x = images(2, 5, 5, 8)
    block = keras_resnet.BasicBlock(8, shortcut={"kind": "highway", "gate_bias": bias})
    plain = keras_resnet.BasicBlock(8, shortcut="none")
    outputs = block(x)
    plain(x)
    for ours, theirs in zip(plain.units, block.units, strict=True):
        ours[0].kernel.assign(theirs[0].kernel)
    expected = x if expected == "inputs" else plain(x)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("shortcut", ["none", "highway"])
def test_branches_that_nothing_is_added_to_do_not_start_at_zero(shortcut):
    for options in ({}, {"zero_init_residual": False}):
        block = keras_resnet.BasicBlock(8, shortcut=shortcut, **options)
        block.build((None, 5, 5, 8))
        np.testing.assert_array_equal(block.norm2.gamma, np.ones(8))
        assert (block.shortcut is None) == (shortcut == "none")
    for make in (keras_resnet.PlainNet18, lambda **o: keras_resnet.PreActBasicBlock(8, **o)):
        with pytest.raises(ValueError, match=r"leave out.*Received: zero_init_residual=True"):
            make(zero_init_residual=True, shortcut=shortcut)


@pytest.mark.parametrize("value", ["maybe", "false", 0, 1, []])
def test_starting_at_zero_is_true_or_false(value):
    for make in (keras_resnet.ResNet18, lambda **o: keras_resnet.PreActBasicBlock(8, **o)):
        with pytest.raises(ValueError, match=r"True, False or None.*zero_init_residual="):
            make(zero_init_residual=value)
    with pytest.raises(ValueError, match=r"options\.zero_init_residual` must be True, False"):
        load_classifier_config("finetune", [f"model.options.zero_init_residual={value!r}"])


def test_plain_nets_of_earlier_versions_load():
    """Their configurations say True, the default of that time, which had no effect."""
    net = keras_resnet.ResNet((1, 1), "basic", width=8, shortcut="none", include_top=False)
    block = keras_resnet.BasicBlock(8, shortcut={"kind": "highway", "gate_bias": -1.0})
    for made in (net, block):
        config = made.get_config()
        assert config["zero_init_residual"] is False
        again = type(made).from_config({**config, "zero_init_residual": True})
        assert again.get_config() == config
    residual = keras_resnet.BasicBlock(8)
    assert residual.get_config()["zero_init_residual"] is True
    assert keras_resnet.BasicBlock.from_config(residual.get_config()).zero_init_residual is True


def test_plain_blocks_have_no_shortcut_even_where_the_shape_changes():
    block = keras_resnet.BasicBlock(8, stride=2, shortcut="none")
    x = images(2, 6, 6, 4)
    outputs = block(x)
    assert block.shortcut is None and len(block.weights) == 10
    expected = block.norm2(block.conv2(keras.ops.relu(block.norm1(block.conv1(x)))))
    np.testing.assert_allclose(outputs, np.maximum(expected, 0), atol=1e-6)


def test_max_pool_takes_pixels_where_only_the_stride_is_above_one():
    x = images(2, 5, 6, 4)
    expected = keras.layers.MaxPooling2D(1, strides=2, padding="same")(x)
    np.testing.assert_array_equal(make_shortcut("max_pool", 4, 4, 2)(x), expected)
    assert make_shortcut("max_pool", 4, 8, 2, name="shortcut").units
    assert make_shortcut("max_pool", 4, 4) is None


@pytest.mark.parametrize(
    "shortcut,match",
    [
        ("highways", "Did you mean 'highway'"),
        ({"kind": "zero_pad", "zero": "end"}, "Did you mean 'zeros'"),
        ({"kind": "projection", "zeros": "end"}, "Received: option of shortcut 'projection'"),
        ({"kind": "zero_pad", "zeros": "front"}, "Received: zeros='front'"),
        ({"zeros": "end"}, "Received: shortcut=None"),
    ],
)
def test_bad_shortcuts_are_refused(shortcut, match):
    with pytest.raises(ValueError, match=match):
        make_shortcut(shortcut, 4, 8)


def test_plain_blocks_cannot_be_skipped():
    with pytest.raises(ValueError, match=r"Received: stochastic_depth=0.5, shortcut='none'"):
        keras_resnet.BasicBlock(8, shortcut="none", stochastic_depth=0.5)
