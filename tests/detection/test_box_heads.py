"""Box heads against NumPy written naively, and against the backbone they are cut from."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_resnet
from detection.box_heads import ConvFCHead, StageHead


def convolved(x, kernel, bias):
    """A 3x3 convolution of `[R, H, W, C]` with a border of zeros, tap by tap."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = x.shape[1:3]
    result = np.zeros((*x.shape[:3], kernel.shape[-1]))
    for i in range(3):
        for j in range(3):
            result += padded[:, i : i + height, j : j + width] @ kernel[i, j]
    return result + bias


def rebuilt(layer):
    """The layer as it comes back from its config, with its weights."""
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    if not copy.built:
        copy.build((None, 5, 5, 4))
    copy.set_weights(layer.get_weights())
    return copy


def regions(seed=0, shape=(6, 5, 5, 4)):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("norm", [None, "batch", {"kind": "group", "groups": 1}])
def test_convolutions_and_dense_layers_equal_numpy(norm):
    rng = np.random.default_rng(1)
    head = ConvFCHead((6, 3), (7, 2), norm=norm)
    head.build((None, 5, 5, 4))
    for weight in head.weights:
        low = 0.5 if weight.name == "moving_variance" else -1
        weight.assign(rng.uniform(low, 1, weight.shape))
    x = regions()
    expected = x.astype("float64")
    for number, conv in enumerate(head.convs):
        kernel, *bias = [np.asarray(w) for w in conv.get_weights()]
        expected = convolved(expected, kernel, bias[0] if bias else 0)
        if norm is not None:
            layer = head.norms[number]
            gamma, beta = np.asarray(layer.gamma), np.asarray(layer.beta)
            if norm == "batch":
                mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
            else:
                mean = expected.mean(axis=(1, 2, 3), keepdims=True)
                variance = expected.var(axis=(1, 2, 3), keepdims=True)
            expected = (expected - mean) / np.sqrt(variance + 1e-5) * gamma + beta
        expected = np.maximum(expected, 0)
    expected = expected.reshape(len(x), -1)
    for layer in head.dense:
        kernel, bias = layer.get_weights()
        expected = np.maximum(expected @ kernel + bias, 0)
    found = ops.convert_to_numpy(head(x))
    assert found.shape == (6, 2) == head.compute_output_shape((6, 5, 5, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(ops.convert_to_numpy(rebuilt(head)(x)), found)


def test_batch_norms_of_a_head_learn_in_training_only():
    head = ConvFCHead((4,), (3,), norm="batch")
    x = regions()
    head(x)
    before = np.asarray(head.norms[0].moving_mean)
    head(x, training=True)
    after = np.asarray(head.norms[0].moving_mean)
    by_hand = convolved(x, np.asarray(head.convs[0].kernel), 0).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(after, 0.9 * before + 0.1 * by_hand, atol=1e-5)
    head.norms[0].trainable = False
    head(x, training=True)
    np.testing.assert_array_equal(np.asarray(head.norms[0].moving_mean), after)
    assert not rebuilt(head).norms[0].trainable


def test_initial_values_are_those_of_the_recipe():
    keras.utils.set_random_seed(0)
    head = ConvFCHead((64,), (256,), norm=None)
    head.build((None, 7, 7, 32))
    assert np.std(head.convs[0].kernel) == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.03)
    assert np.abs(head.dense[0].kernel).max() == pytest.approx(np.sqrt(3 / (49 * 64)), rel=0.01)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    head = ConvFCHead((4,), (3,), norm="batch", dtype=policy)
    stage = StageHead([keras_resnet.BasicBlock(4, dtype=policy)], dtype=policy)
    x = regions()
    assert keras.backend.standardize_dtype(head(x).dtype) == policy.removeprefix("mixed_")
    # What is averaged over the region goes to the classifier in float32.
    assert keras.backend.standardize_dtype(stage(x).dtype) == "float32"
    assert np.isfinite(ops.convert_to_numpy(stage(x))).all()


@pytest.mark.parametrize("stride_in", ["1x1", "3x3"])
def test_stage_head_is_the_rest_of_the_backbone(stride_in):
    network = keras_resnet.ResNet(
        (1, 1, 2), width=4, stem="3x3", stride_in=stride_in, zero_init_residual=False, classes=5
    )
    layers = [layer for layer in network.layers if layer.name.startswith("stage4")]
    head = StageHead(layers)
    images = regions(shape=(2, 16, 16, 3))
    c3 = keras_resnet.feature_extractor(network, ("C3",))(images)["C3"]
    # The network ends with the average of the whole map, classified.
    kernel, bias = network.get_layer("predictions").get_weights()
    logits = ops.convert_to_numpy(head(c3)) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ops.convert_to_numpy(network(images)), expected, rtol=1e-4)
    assert head.compute_output_shape((9, 8, 8, 32)) == (9, 64)

    layers[0].trainable = False
    copy = rebuilt(head)
    np.testing.assert_array_equal(ops.convert_to_numpy(copy(c3)), ops.convert_to_numpy(head(c3)))
    assert [layer.trainable for layer in copy.stages] == [False, True]


def test_heads_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"Received: hidden=\(\)"):
        ConvFCHead(hidden=())
    with pytest.raises(ValueError, match="Received: norm='batch'"):
        ConvFCHead(norm="batch")
    with pytest.raises(ValueError, match="Received: layers="):
        StageHead([])
