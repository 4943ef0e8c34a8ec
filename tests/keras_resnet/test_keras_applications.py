"""Agreement with keras.applications on random weights with norms that do something."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

import keras_resnet

TOLERANCE = 1e-4
V1 = ("ResNet50", "ResNet101", pytest.param("ResNet152", marks=pytest.mark.slow))
V2 = ("ResNet50V2", "ResNet101V2", pytest.param("ResNet152V2", marks=pytest.mark.slow))


def with_random_weights(model, seed=0):
    """Give norms and biases values that show when they are left out, logits of order one."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for v in layer.variables:
            if v.name in ("gamma", "moving_variance"):
                small = 0.2 if layer.name.endswith("_3_bn") and v.name == "gamma" else 1.0
                v.assign(small * rng.uniform(0.5, 1.5, v.shape))
            elif v.name in ("bias", "beta", "moving_mean"):
                v.assign(0.2 * rng.standard_normal(v.shape))
    return model


def source(name, **arguments):
    arguments = {"weights": None, "include_top": False, "pooling": "avg", **arguments}
    return with_random_weights(getattr(keras.applications, name)(**arguments))


def images(height, width):
    rng = np.random.default_rng(height)
    return rng.standard_normal((2, height, width, 3)).astype("float32")


def assert_equal_outputs(ours, theirs, sizes):
    for size in sizes:
        x = images(*size)
        expected = np.array(theirs(x))
        difference = np.abs(np.array(ours(x)) - expected).max()
        assert difference <= TOLERANCE * np.abs(expected).max(), size
        assert expected.std() > 0.01


@pytest.mark.parametrize("name", V1)
def test_v1_with_folded_biases_equals_keras_applications(name):
    theirs = source(name, input_shape=(None, None, 3))
    model = getattr(keras_resnet, name)(
        stride_in="1x1", include_top=False, pooling="avg", weights=theirs
    )
    sizes = [(33, 65), (97, 129)] + [(224, 224)] * (name == "ResNet50")
    assert_equal_outputs(model, theirs, sizes)
    assert model.preprocessing == "caffe"


@pytest.mark.parametrize("name", V2)
def test_v2_equals_keras_applications(name):
    theirs = source(name, input_shape=(None, None, 3))
    model = getattr(keras_resnet, name)(include_top=False, pooling="avg", weights=theirs)
    sizes = [(33, 65), (97, 129)] + [(224, 224)] * (name == "ResNet50V2")
    assert_equal_outputs(model, theirs, sizes)
    assert model.preprocessing == "tf"


@pytest.fixture(scope="module")
def resnet50():
    return source("ResNet50", include_top=True, pooling=None, classes=7, classifier_activation=None)


def test_logits_and_every_feature_map(resnet50):
    model = keras_resnet.ResNet50(
        stride_in="1x1", classes=7, classifier_activation=None, weights=resnet50
    )
    assert_equal_outputs(model, resnet50, [(224, 224)])
    ends = {"C2": "conv2_block3_out", "C3": "conv3_block4_out", "C4": "conv4_block6_out"}
    theirs = keras.Model(
        resnet50.input, {name: resnet50.get_layer(end).output for name, end in ends.items()}
    )(images(224, 224))
    ours = keras_resnet.feature_extractor(model, tuple(ends))(images(224, 224))
    for name, expected in theirs.items():
        difference = np.abs(np.array(ours[name]) - np.array(expected)).max()
        assert difference <= TOLERANCE * np.abs(np.array(expected)).max(), name


@pytest.mark.parametrize("include_top", [True, False])
def test_the_h5_file_that_keras_downloads(include_top, resnet50, tmp_path):
    path = str(tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels.h5")
    with h5py.File(path, "w") as file:  # in the format of the published files, by Keras itself
        legacy_h5_format.save_weights_to_hdf5_group(file, resnet50)
    arguments = {"stride_in": "1x1", "include_top": include_top}
    arguments |= {"classes": 7, "classifier_activation": None}
    of_file = keras_resnet.ResNet50(weights=path, **arguments)
    of_model = keras_resnet.ResNet50(weights=resnet50, **arguments)
    for ours, theirs in zip(of_file.weights, of_model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert of_file.preprocessing == "caffe"
    if include_top:
        with pytest.raises(ValueError, match="made with stride_in='1x1'"):
            keras_resnet.ResNet50(weights=path, classes=7)


def test_other_h5_files_are_refused(tmp_path):
    path = tmp_path / "other.h5"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"other\.h5 is not a readable weights file"):
        keras_resnet.ResNet50(weights=str(path), include_top=False)
    with h5py.File(path, "w") as file:
        other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        legacy_h5_format.save_weights_to_hdf5_group(file, other)
    with pytest.raises(ValueError, match=r"one of their V2\. Received: .*other\.h5"):
        keras_resnet.ResNet50(weights=str(path), include_top=False)


def test_the_classifier_is_left_aside_without_top(resnet50):
    model = keras_resnet.ResNet50(stride_in="1x1", include_top=False, weights=resnet50)
    np.testing.assert_array_equal(
        model.get_layer("stage5_block3").conv3.kernel,
        resnet50.get_layer("conv5_block3_3_conv").kernel,
    )


def test_every_problem_is_in_one_error(resnet50):
    model = keras_resnet.ResNet((3, 4, 6, 2), classes=8)
    before = np.array(model.get_layer("stem").conv.kernel)
    with pytest.raises(ValueError) as error:
        keras_resnet.load_weights(model, resnet50)
    for line in (
        "variant: the weights were made with stride_in='1x1', the model has stride_in='3x3'",
        "unexpected: conv5_block3_1_conv/kernel",
        "shape of predictions/bias: expected (8,), found (7,)",
    ):
        assert line in str(error.value)
    np.testing.assert_array_equal(model.get_layer("stem").conv.kernel, before)
    with pytest.raises(ValueError, match="missing: conv4_block7_1_conv/kernel"):
        keras_resnet.load_weights(keras_resnet.ResNet101(stride_in="1x1"), resnet50)


def test_versions_are_not_mixed(resnet50):
    v2 = keras_resnet.ResNet((1, 1), "preact_bottleneck", shortcut="max_pool", classes=7)
    with pytest.raises(ValueError) as error:
        keras_resnet.load_weights(v2, resnet50)
    for line in (
        "variant: the weights were made with stride_in='1x1'",
        "variant: the weights were made with shortcut='projection'",
        "missing: conv2_block1_preact_bn/gamma",
        "unexpected: conv2_block1_3_bn/gamma",
    ):
        assert line in str(error.value)


def test_other_models_are_refused():
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="other")
    with pytest.raises(ValueError, match=r"keras\.applications.*Received: the model 'other'"):
        keras_resnet.ResNet50(stride_in="1x1", include_top=False, weights=other)
