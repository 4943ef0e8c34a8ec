"""Folding against the unfolded network and against the formula in NumPy."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.channel_bias import ChannelBias
from keras_resnet.inference_copy import fold_norms, with_dtype


def with_random_norms(model):
    generator = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras_resnet.BatchNormalization):
            count = layer.gamma.shape[0]
            layer.gamma.assign(generator.uniform(-1.5, 1.5, count))
            layer.beta.assign(generator.normal(0, 0.5, count))
            layer.moving_mean.assign(generator.normal(0, 0.5, count))
            layer.moving_variance.assign(generator.uniform(0.2, 3, count))
    return model


def test_a_saved_folded_network_loads_where_only_the_package_is_imported(tmp_path):
    model = keras_resnet.ResNet((1, 1), "preact_basic", width=8, stem="3x3", classes=3)
    model = with_random_norms(model)
    fold_norms(model).save(tmp_path / "folded.keras")
    np.save(tmp_path / "x.npy", images())
    program = (
        "import keras, numpy as np, keras_resnet, sys\n"
        "model = keras.saving.load_model('folded.keras')\n"
        "np.save('y.npy', model.predict(np.load('x.npy'), verbose=0))\n"
        "assert 'keras_resnet.export' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(images()), atol=1e-5)


def images(size=32):
    return np.random.default_rng(1).normal(0, 1, (2, size, size, 3)).astype("float32")


@pytest.mark.parametrize(
    "options",
    [
        {"block": "bottleneck", "classes": 5},
        {"block": "basic", "norm": "frozen", "shortcut": "projection_all", "include_top": False},
        {"block": "basic", "norm": {"kind": "batch", "epsilon": 1e-3}, "shortcut": "zero_pad"},
        {"block": "basic", "stochastic_depth": 0.3, "classes": 3},
    ],
)
def test_folded_network_computes_the_same(options):
    model = with_random_norms(keras_resnet.ResNet((2, 1), width=8, stem="3x3", **options))
    folded = fold_norms(model)
    assert type(folded) is keras_resnet.ResNet
    assert not any(
        isinstance(layer, keras_resnet.BatchNormalization) for layer in folded._flatten_layers()
    )
    expected = keras.ops.convert_to_numpy(model(images()))
    actual = keras.ops.convert_to_numpy(folded(images()))
    assert np.abs(actual - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.ptp(expected) > 0


def test_kernel_and_offset_are_those_of_the_formula():
    model = with_random_norms(keras_resnet.ResNet((1,), block="basic", width=4, stem="3x3"))
    stem, folded = model.get_layer("stem"), fold_norms(model).get_layer("stem")
    gamma, beta, mean, variance = (np.asarray(weight) for weight in stem.norm.get_weights())
    kernel, (bias,) = folded.conv.get_weights()[0], folded.norm.get_weights()
    for channel in range(4):
        scale = gamma[channel] / np.sqrt(variance[channel] + 1e-5)
        own = stem.conv.get_weights()[0][..., channel]
        np.testing.assert_allclose(kernel[..., channel], own * scale, rtol=1e-5)
        np.testing.assert_allclose(
            bias[channel], beta[channel] - mean[channel] * scale, rtol=1e-5, atol=1e-6
        )


def test_feature_extractor_folds_and_the_original_stays():
    backbone = keras_resnet.ResNet((1, 1), block="bottleneck", width=8, include_top=False)
    model = with_random_norms(keras_resnet.feature_extractor(backbone, ("C2", "C3")))
    before = [np.array(weight) for weight in model.get_weights()]
    folded = fold_norms(model)
    for after, value in zip(model.get_weights(), before):
        np.testing.assert_array_equal(after, value)
    expected, actual = model(images(64)), folded(images(64))
    assert set(actual) == {"C2", "C3"}
    for name, value in expected.items():
        value = keras.ops.convert_to_numpy(value)
        difference = np.abs(keras.ops.convert_to_numpy(actual[name]) - value).max()
        assert difference <= 1e-4 * np.abs(value).max()


def test_group_norms_are_kept():
    model = keras_resnet.ResNet((1,), width=8, norm={"kind": "group", "groups": 4}, classes=3)
    folded = fold_norms(model)
    assert not any(isinstance(layer, ChannelBias) for layer in folded._flatten_layers())
    np.testing.assert_array_equal(model(images()), folded(images()))


def test_compiled_model_folds_to_one_that_is_not_compiled():
    model = keras_resnet.ResNet((1,), block="basic", width=8, classes=3)
    model.compile("sgd", "categorical_crossentropy")
    assert not fold_norms(model).compiled


def test_model_that_is_not_built_is_refused():
    model = keras.Sequential([keras_resnet.BasicBlock(8)])
    with pytest.raises(ValueError, match="not built"):
        fold_norms(model)


def test_with_dtype_changes_all_layers_and_no_weight():
    options = {"stage_blocks": (1, 1), "width": 8, "classes": 3}
    model = with_random_norms(keras_resnet.ResNet(dtype="mixed_bfloat16", **options))
    copy = with_dtype(model, "float32")
    assert {layer.compute_dtype for layer in copy._flatten_layers()} == {"float32"}
    assert model.get_layer("stem").compute_dtype == "bfloat16"
    # What a float32 model with these weights computes.
    float32 = keras_resnet.ResNet(dtype="float32", **options)
    float32.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(images()), float32(images()))
    wide = with_dtype(float32, "mixed_bfloat16")
    np.testing.assert_array_equal(wide(images()), model(images()))


def test_channel_bias_round_trip_and_axis():
    layer = ChannelBias(axis=1)
    inputs = np.zeros((1, 2, 3, 4), "float32")
    layer.build(inputs.shape)
    layer.bias.assign([1.0, -2.0])
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    assert (outputs[:, 0] == 1.0).all() and (outputs[:, 1] == -2.0).all()
    assert ChannelBias.from_config(layer.get_config()).axis == 1
    with pytest.raises(ValueError, match="axis=0"):
        ChannelBias(axis=0)
