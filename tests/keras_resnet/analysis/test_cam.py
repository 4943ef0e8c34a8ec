import keras
import numpy as np
import pytest

from keras_resnet.analysis import grad_cam
from tests.keras_resnet.analysis.helpers import images, small_net

L = keras.layers


def class_activation_map(model, features, kernel, x, classes):
    """CAM of Zhou et al. 2016 for global average pooling and one dense layer."""
    a = np.array(keras.Model(model.input, features)(x))
    weights = np.array(kernel)[:, classes].T / (a.shape[1] * a.shape[2])
    return np.maximum((a * weights[:, None, None, :]).sum(axis=-1), 0)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_equals_cam_where_pooling_and_a_dense_layer_follow(activation):
    model = small_net((1, 1), classifier_activation=activation, input_shape=(24, 16, 3))
    x = images(5, 24, 16, 3)
    result = grad_cam(model, x)
    assert result.layer == "stage3_block1"
    np.testing.assert_array_equal(result.classes, np.argmax(model(x), axis=-1))
    head, block = model.get_layer("predictions"), model.get_layer("stage3_block1")
    expected = class_activation_map(model, block.output, head.kernel, x, result.classes)
    np.testing.assert_allclose(result.coarse, expected, atol=1e-5 * expected.max())
    pooled = keras.Model(model.input, model.get_layer("avg_pool").output)(x)
    logits = np.array(pooled) @ np.array(head.kernel) + np.array(head.bias)
    np.testing.assert_allclose(result.scores, logits.max(axis=1), rtol=1e-4)


def test_maps_are_enlarged_to_the_image_and_scaled():
    model = small_net((1, 1), input_shape=(24, 16, 3))
    result = grad_cam(model, images(3, 24, 16, 3), class_index=np.array([0, 1, 2]))
    assert result.heatmaps.shape == (3, 24, 16) and result.coarse.shape == (3, 12, 8)
    np.testing.assert_array_equal(result.classes, [0, 1, 2])
    positive = result.coarse.max(axis=(1, 2)) > 0
    np.testing.assert_allclose(result.heatmaps.max(axis=(1, 2)), positive, atol=1e-6)
    assert result.heatmaps.min() >= 0
    # Half-pixel bilinear by a factor of 2: the corner keeps its value.
    scaled = result.heatmaps[:, 0, 0] * result.coarse[:, 0, 0].max()
    assert scaled.shape == (3,)


def test_through_nested_models_and_by_path():
    backbone = small_net((1, 1), include_top=False, input_shape=(16, 16, 3))
    head = [L.GlobalAveragePooling2D(), L.Dense(4, name="head")]
    inner = keras.Sequential([keras.Input((16, 16, 3)), backbone], name="inner")
    inputs = x = keras.Input((16, 16, 3))
    for layer in (L.Rescaling(0.5), inner, *head):
        x = layer(x)
    model = keras.Model(inputs, L.Softmax()(x))
    x = images(3, 16, 16, 3)
    flat = backbone.output
    for layer in head:
        flat = layer(flat)
    flat = keras.Model(backbone.input, flat)
    expected = grad_cam(flat, x * 0.5, class_index=1, layer="stage2_block1")
    path = "inner/resnet/stage2_block1"
    for layer in ("stage2_block1", path, backbone.get_layer("stage2_block1")):
        result = grad_cam(model, x, class_index=1, layer=layer)
        assert result.layer == path
        np.testing.assert_allclose(result.coarse, expected.coarse, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(result.scores, expected.scores, rtol=1e-4)
    assert grad_cam(model, x).coarse.shape == (3, 8, 8)


def test_of_a_network_of_keras():
    model = keras.applications.MobileNetV2((64, 64, 3), 0.35, weights=None, classes=7)
    x = images(2, 64, 64, 3)
    result = grad_cam(model, x)
    assert result.layer == "out_relu"
    features, head = model.get_layer("out_relu").output, model.layers[-1]
    expected = class_activation_map(model, features, head.kernel, x, result.classes)
    np.testing.assert_allclose(result.coarse, expected, atol=1e-4 * max(expected.max(), 1e-9))


def test_finds_the_place_the_class_depends_on():
    inputs = keras.Input((8, 8, 1))
    x = L.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="features")(inputs)
    model = keras.Model(inputs, L.Dense(2, name="d")(L.Flatten()(L.ReLU()(x))))
    kernel = np.zeros((64, 2), "float32")
    kernel[:, 1] = 1.0
    model.get_layer("d").kernel.assign(kernel)
    x = np.zeros((1, 8, 8, 1), "float32")
    x[0, 2, 5] = 3.0
    result = grad_cam(model, x, class_index=1, layer="features")
    # The gradient is 1 where the ReLU is open; TensorFlow and JAX close it at zero.
    assert np.argwhere(result.coarse[0] > 0).tolist() == [[2, 5]]
    np.testing.assert_allclose(result.heatmaps[0, 2, 5], 1.0)
    nothing = grad_cam(model, x, class_index=0, layer="features")
    np.testing.assert_array_equal(nothing.heatmaps, 0.0)


def test_channels_first():
    options = {"include_top": False, "pooling": "avg"}
    last = small_net((1,), input_shape=(8, 12, 3), **options)
    first = small_net((1,), input_shape=(3, 8, 12), data_format="channels_first", **options)
    x = images(2, 8, 12, 3)
    expected = grad_cam(last, x, class_index=3)
    result = grad_cam(first, x.transpose(0, 3, 1, 2), class_index=3)
    np.testing.assert_allclose(result.heatmaps, expected.heatmaps, atol=1e-4)
    np.testing.assert_array_equal(result.images, x)


def test_errors():
    model = small_net((1,), classifier_activation=None, input_shape=(8, 8, 3))
    x = images(2, 8, 8, 3)
    with pytest.raises(ValueError, match=r"classes 0 to 4.*Received: class_index"):
        grad_cam(model, x, class_index=5)
    with pytest.raises(ValueError, match=r"no such layer.*Received: layer='nowhere'"):
        grad_cam(model, x, layer="nowhere")
    with pytest.raises(ValueError, match="no such layer"):
        grad_cam(model, x, layer="avg_pool")
    with pytest.raises(ValueError, match="must return scores"):
        grad_cam(small_net((1,), include_top=False), x)
    with pytest.raises(ValueError, match="larger images"):
        grad_cam(small_net((1, 1), input_shape=(1, 1, 3)), x[:, :1, :1])
    twice = keras.Sequential([keras.Input((8, 8, 3)), small_net((1, 1), classes=3)])
    with pytest.raises(ValueError, match="several layers of that name"):
        grad_cam(twice, x, layer="conv1")


def test_picture(tmp_path):
    model = small_net((1,), input_shape=(8, 8, 3))
    figure = grad_cam(model, images(5, 8, 8, 3)).draw(tmp_path / "cam.png", columns=3)
    assert (tmp_path / "cam.png").stat().st_size > 5000
    assert sum(len(axis.images) for axis in figure.axes) == 5 * 3
