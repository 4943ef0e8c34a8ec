"""Pre-activation networks against keras.applications' V2, and blocks against their definition."""

import re

import keras
import numpy as np

import keras_resnet

NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def with_random_weights(model, seed=0):
    """Give norms and biases values that show when they are left out."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for v in layer.variables:
            if v.name in ("gamma", "moving_variance"):
                v.assign(rng.uniform(0.5, 1.5, v.shape))
            elif v.name in ("bias", "beta", "moving_mean"):
                v.assign(0.2 * rng.standard_normal(v.shape))
            elif layer.name.endswith("_3_conv"):
                v.assign(0.3 * np.array(v))
    return model


def copy_weights(theirs, ours):
    """Copy every weight of a keras.applications V2 model; all of ours must have been named."""
    left = {v.path for v in ours.variables}

    def copy(layer, name, variables):
        for variable in variables:
            value = next(v for v in theirs.get_layer(name).variables if v.name == variable)
            getattr(layer, variable).assign(value)
            left.remove(getattr(layer, variable).path)

    copy(ours.get_layer("stem").conv, "conv1_conv", ("kernel", "bias"))
    copy(ours.get_layer("post_norm"), "post_bn", NORM)
    for layer in ours.layers:
        if match := re.fullmatch(r"stage(\d)_block(\d+)", layer.name):
            prefix = f"conv{match[1]}_block{match[2]}"
            copy(layer.preact_norm, f"{prefix}_preact_bn", NORM)
            copy(layer.conv1, f"{prefix}_1_conv", ("kernel",))
            copy(layer.norm1, f"{prefix}_1_bn", NORM)
            copy(layer.conv2, f"{prefix}_2_conv", ("kernel",))
            copy(layer.norm2, f"{prefix}_2_bn", NORM)
            copy(layer.conv3, f"{prefix}_3_conv", ("kernel", "bias"))
            if match[2] == "1":
                copy(layer.shortcut.conv, f"{prefix}_0_conv", ("kernel", "bias"))
    if any(layer.name == "predictions" for layer in ours.layers):
        copy(ours.get_layer("predictions"), "predictions", ("kernel", "bias"))
    assert not left


def pair(name, **arguments):
    theirs = with_random_weights(getattr(keras.applications, name)(weights=None, **arguments))
    ours = getattr(keras_resnet, name)(**arguments)
    copy_weights(theirs, ours)
    return ours, theirs


def assert_close(ours, theirs):
    ours, theirs = np.array(ours), np.array(theirs)
    assert theirs.std() > 0.01
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


# By a map of its own; test_keras_applications.py has every depth by the map of the package.
def test_features_equal_keras_applications():
    ours, theirs = pair("ResNet50V2", include_top=False, input_shape=(None, None, 3))
    for size in [(33, 65), (97, 129), (224, 224)]:
        x = images(2, *size, 3)
        assert_close(ours(x), theirs(x))


def test_logits_and_feature_maps_equal_keras_applications():
    ours, theirs = pair("ResNet50V2", classes=7, classifier_activation=None)
    x = images(2, 224, 224, 3)
    # The last outputs before the stride, and what the last norm and ReLU put out.
    ends = {"C2": "conv2_block2_out", "C3": "conv3_block3_out", "C5": "post_relu"}
    expected = {name: theirs.get_layer(layer).output for name, layer in ends.items()}
    expected = keras.Model(theirs.input, {**expected, "logits": theirs.output})(x)
    assert_close(ours(x), expected["logits"])
    features = keras_resnet.feature_extractor(ours, tuple(ends))(x)
    for name in ends:
        assert_close(features[name], expected[name])


def test_strides_of_the_feature_maps():
    for backbone in (
        keras_resnet.ResNet18V2(include_top=False),
        keras_resnet.ResNet(
            (2, 2, 2, 2), "preact_basic", stem="imagenet_v2", stride_at="first", include_top=False
        ),
    ):
        info = keras_resnet.feature_info(backbone)
        assert [part["stride"] for part in info.values()] == [4, 8, 16, 32]
        assert [part["channels"] for part in info.values()] == [64, 128, 256, 512]
        features = keras_resnet.feature_extractor(backbone)(images(1, 64, 64, 3))
        assert [feature.shape[1] for feature in features.values()] == [16, 8, 4, 2]


def test_the_block_is_a_projection_of_the_preactivation_plus_the_branch():
    x = images(2, 6, 6, 3)
    block = keras_resnet.PreActBasicBlock(5, zero_init_residual=False)
    block.build(x.shape)
    rng = np.random.default_rng(1)
    for v in block.variables:
        v.assign(rng.uniform(0.1, 1.0, v.shape))

    def norm(layer, x):
        gamma, beta, mean, variance = (np.array(getattr(layer, name)) for name in NORM)
        return (x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta

    def conv(layer, x):
        kernel = np.array(layer.kernel)
        reach = kernel.shape[0] // 2
        padded = np.pad(x, [(0, 0), (reach, reach), (reach, reach), (0, 0)])
        outputs = np.zeros((*x.shape[:3], kernel.shape[-1]))
        for i in range(kernel.shape[0]):
            for j in range(kernel.shape[1]):
                outputs += padded[:, i : i + x.shape[1], j : j + x.shape[2]] @ kernel[i, j]
        return outputs if layer.bias is None else outputs + np.array(layer.bias)

    preactivation = np.maximum(norm(block.preact_norm, x), 0)
    hidden = np.maximum(norm(block.norm1, conv(block.conv1, preactivation)), 0)
    expected = conv(block.conv2, hidden) + conv(block.shortcut.conv, preactivation)
    assert block.norm2 is None and block.shortcut.norm is None
    np.testing.assert_allclose(block(x), expected, rtol=1e-4)


def test_zero_init_makes_the_block_the_identity():
    x = images(2, 5, 5, 16)
    for block in (keras_resnet.PreActBasicBlock(16), keras_resnet.PreActBottleneckBlock(4)):
        np.testing.assert_array_equal(block(x), x)


def test_folding_the_norms_keeps_the_outputs():
    from keras_resnet.inference_copy import fold_norms

    model = keras_resnet.ResNet18V2(width=8, include_top=False, zero_init_residual=False)
    rng = np.random.default_rng(2)
    for v in model.non_trainable_variables:
        v.assign(rng.uniform(0.5, 1.5, v.shape) - (v.name == "moving_mean"))
    folded = fold_norms(model)
    x = images(2, 64, 64, 3)
    assert_close(folded(x), model(x))
    # One norm of every block, and the last, have no convolution to be folded into.
    assert len(folded.non_trainable_weights) == 2 * (8 + 1)
    assert len(model.non_trainable_weights) == 2 * (16 + 1)
