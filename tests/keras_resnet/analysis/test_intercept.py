import keras
import numpy as np
import pytest

from keras_resnet.analysis.intercept import intercepted, sublayers
from tests.keras_resnet.analysis.helpers import images, small_net


def nested():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.ReLU(name="b")],
        name="inner",
    )
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(2, name="a")(inner(inputs)))


def test_paths_of_nested_layers():
    assert list(sublayers(nested())) == ["inner", "inner/a", "inner/b", "a"]
    paths = list(sublayers(small_net((1,))))
    assert paths[:4] == ["stem", "stem/conv", "stem/norm", "stage2_block1"]
    assert "stage2_block1/conv2" in paths


def test_a_shared_layer_is_listed_once_and_equal_names_stay_apart():
    shared = keras.layers.Dense(4, name="shared")
    parts = [keras.Sequential([shared], name="same"), keras.Sequential([shared], name="other")]
    model = keras.Sequential([keras.Input((4,)), *parts, keras.layers.ReLU(name="last")])
    assert list(sublayers(model)) == ["same", "same/shared", "other", "last"]


def test_outputs_are_those_keras_gives():
    model = nested()
    x = images(3, 4)
    seen = {}
    layers = sublayers(model)

    def keep(layer, inputs, outputs):
        seen[layer.name, len(seen)] = (np.array(inputs), np.array(outputs))
        return outputs

    expected = np.array(model(x))
    with intercepted(layers.values(), keep):
        outputs = np.array(model(x))
    np.testing.assert_array_equal(outputs, expected)
    hidden = np.array(layers["inner"](x))
    np.testing.assert_array_equal(seen["a", 0][0], x)
    np.testing.assert_array_equal(seen["b", 1][1], hidden)
    np.testing.assert_array_equal(seen["inner", 2][1], hidden)
    np.testing.assert_array_equal(seen["a", 3][1], expected)


def test_what_the_function_returns_takes_the_place():
    model = nested()
    x = images(3, 4)
    expected = np.array(model(x))
    with intercepted([sublayers(model)["inner/b"]], lambda layer, inputs, outputs: outputs * 0):
        changed = np.array(model(x))
    np.testing.assert_array_equal(changed, np.broadcast_to(np.array(model.layers[-1].bias), (3, 2)))
    np.testing.assert_array_equal(np.array(model(x)), expected)


def test_the_layer_is_itself_again_after_an_error():
    layer = keras.layers.ReLU()

    def fail(layer, inputs, outputs):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"), intercepted([layer], fail):
        layer(images(2, 2))
    assert "call" not in vars(layer)
    assert float(np.min(layer(images(2, 2)))) == 0.0
