import keras
import numpy as np
import pytest

from keras_resnet.analysis import draw_responses, layer_responses
from tests.keras_resnet.analysis.helpers import images, small_net, weights_of

L = keras.layers


def test_of_a_residual_network_by_its_own_layers():
    model = small_net((1, 1))
    x = images(6, 12, 12, 3)
    result = layer_responses(model, x, batch_size=4)
    expected = {}
    stem = model.get_layer("stem")
    expected["stem/conv"] = h = np.array(stem.norm(stem.conv(x)))
    h = np.maximum(h, 0)
    for name in ("stage2_block1", "stage3_block1"):
        block = model.get_layer(name)
        expected[f"{name}/conv1"] = a = np.array(block.norm1(block.conv1(h)))
        expected[f"{name}/conv2"] = np.array(block.norm2(block.conv2(np.maximum(a, 0))))
        h = np.array(block(h))
    assert result.names == tuple(expected)
    np.testing.assert_allclose(result.stds, [a.std() for a in expected.values()], rtol=1e-4)
    np.testing.assert_array_equal(result.sorted, sorted(result.stds, reverse=True))


def test_of_a_foreign_functional_network():
    model = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    x = images(2, 32, 32, 3)
    result = layer_responses(model, x)
    names = [layer.name for layer in model.layers if layer.name.endswith("_2_conv")]
    assert list(result.names) == names and len(names) == 16
    norms = [model.get_layer(f"{name[:-4]}bn") for name in names]
    expected = keras.Model(model.input, [norm.output for norm in norms])(x)
    np.testing.assert_allclose(result.stds, [np.array(e).std() for e in expected], rtol=1e-3)


def test_without_norm_it_is_what_comes_before_the_activation():
    conv = L.Conv2D(4, 3, activation="relu", name="conv")
    model = keras.Sequential([keras.Input((8, 8, 3)), conv, L.Conv2D(2, 1, name="one")])
    x = images(3, 8, 8, 3)
    before = np.array(model(x))
    result = layer_responses(model, x)
    expected = np.array(keras.ops.conv(x, conv.kernel, padding="valid")).std()
    assert result.names == ("conv",)
    np.testing.assert_allclose(result.stds, [expected], rtol=1e-5)
    np.testing.assert_array_equal(np.array(model(x)), before)  # the activation is back
    assert layer_responses(model, x, kernel_size=None).names == ("conv", "one")


def test_batch_statistics_make_it_the_norms_scale_and_change_nothing():
    model = small_net((1,))
    before = weights_of(model)
    x = images(8, 8, 8, 3)
    result = layer_responses(model, x, training=True)
    norm = model.get_layer("stage2_block1").norm2
    gamma, beta = np.array(norm.gamma), np.array(norm.beta)
    # Every channel has mean beta and variance gamma squared.
    expected = np.sqrt((gamma**2).mean() + beta.var())
    assert result.stds[-1] == pytest.approx(expected, rel=1e-3)
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_inside_another_model():
    backbone = small_net((1,), include_top=False, input_shape=(8, 8, 3))
    x = images(2, 8, 8, 3)
    outer = keras.Sequential([keras.Input((8, 8, 3)), backbone, L.GlobalMaxPooling2D()])
    inside, alone = layer_responses(outer, x), layer_responses(backbone, x)
    assert inside.names == tuple(f"resnet/{name}" for name in alone.names)
    np.testing.assert_allclose(inside.stds, alone.stds, rtol=1e-5)


@pytest.mark.parametrize(("block", "layers"), [("preact_basic", 5), ("bottleneck", 3)])
def test_other_blocks(block, layers):
    result = layer_responses(small_net((1, 1), block), images(2, 8, 8, 3))
    assert len(result.names) == layers  # the 1x1 convolutions are left out
    assert (result.stds > 0).all()


def test_no_such_kernel():
    model = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 1)])
    with pytest.raises(ValueError, match="Received: kernel_size=3"):
        layer_responses(model, images(1, 8, 8, 3))


def test_pictures(tmp_path):
    result = layer_responses(small_net((1,)), images(2, 8, 8, 3))
    figure = result.draw(tmp_path / "responses.png")
    assert (tmp_path / "responses.png").stat().st_size > 5000
    in_order, by_size = (axis.lines[0].get_ydata() for axis in figure.axes)
    np.testing.assert_array_equal(in_order, result.stds)
    np.testing.assert_array_equal(by_size, np.sort(result.stds)[::-1])
    figure = draw_responses({"a": result, "b": result})
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    # Beside the curves, not over them.
    figure.canvas.draw()
    assert all(not legend.get_window_extent().overlaps(a.get_window_extent()) for a in figure.axes)
