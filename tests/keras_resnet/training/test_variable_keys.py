"""Keys of variables: stable across rebuilds, unique, complete."""

import keras
import numpy as np
import pytest

from keras_resnet.training.variable_keys import variable_keys


def branch(name):
    inputs = keras.Input((6,))
    x = keras.layers.Dense(5, name="proj")(inputs)
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(inputs, keras.layers.Dense(4)(x), name=name)


class Net(keras.Model):
    """Two functional parts with equal layer names inside, automatic names, a shared layer."""

    def __init__(self):
        super().__init__()
        self.left, self.right = branch("left"), branch("right")
        self.heads = [keras.layers.Dense(4), keras.layers.Dense(4)]
        self.alias = self.heads[0]
        self.norm = keras.layers.BatchNormalization()

    def call(self, x, training=False):
        x = self.left(x, training=training) + self.right(x, training=training)
        return self.norm(self.heads[1](self.heads[0](x)), training=training)


EXPECTED = [
    "left/proj/kernel",
    "left/proj/bias",
    "left/dropout/seed_generator_state",
    "left/dense/kernel",
    "left/dense/bias",
    "right/proj/kernel",
    "right/proj/bias",
    "right/dropout/seed_generator_state",
    "right/dense/kernel",
    "right/dense/bias",
    "dense/kernel",
    "dense/bias",
    "dense_1/kernel",
    "dense_1/bias",
    "batch_normalization/gamma",
    "batch_normalization/beta",
    "batch_normalization/moving_mean",
    "batch_normalization/moving_variance",
]


def test_keys_of_a_nested_model_again_and_again():
    for _ in range(2):
        net = Net()
        net(np.zeros((1, 6), "float32"))
        keys = variable_keys(net)
        assert sorted(keys) == sorted(EXPECTED)
        assert {id(v) for v in keys.values()} == {id(v) for v in net.variables}
        # What Keras offers is ambiguous here: two parts hold `proj/kernel`.
        assert len({v.path for v in net.variables}) < len(net.variables)
        assert keys["right/proj/kernel"] is net.right.get_layer("proj").kernel
        assert keys["dense_1/bias"] is net.heads[1].bias


def test_keys_do_not_depend_on_how_the_model_was_built():
    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = Net()

        def call(self, x):
            return self.inner(x)

    called, outer = Net(), Outer()
    called(np.zeros((1, 6), "float32"))
    outer(keras.Input((6,)))
    assert {v.path for v in called.variables} != {v.path for v in outer.inner.variables}
    assert list(variable_keys(called)) == list(variable_keys(outer.inner))
    assert list(variable_keys(outer)) == [f"net/{key}" for key in variable_keys(called)]


def test_compiled_metrics_and_optimizer_stay_out():
    net = Net()
    net.compile("adam", "mse", metrics=["mae"])
    net.fit(np.zeros((4, 6), "float32"), np.zeros((4, 4), "float32"), verbose=0)
    assert sorted(variable_keys(net)) == sorted(EXPECTED)


def test_every_variable_of_a_large_model_and_of_its_copy():
    make = keras.applications.MobileNetV2
    first = make(input_shape=(32, 32, 3), weights=None, classes=3)
    keys = variable_keys(first)
    assert len(keys) == len(first.variables)
    assert list(keys) == list(variable_keys(keras.models.clone_model(first)))
    assert keys["block_5_expand/kernel"] is first.get_layer("block_5_expand").kernel


def test_two_layers_of_one_name_are_refused():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.a = keras.layers.Dense(2, name="twin")
            self.b = keras.layers.Dense(2, name="twin")

        def call(self, x):
            return self.b(self.a(x))

    net = Twins()
    net(np.zeros((1, 2), "float32"))
    with pytest.raises(ValueError, match="'twin', so their weights cannot be told apart"):
        variable_keys(net)


def test_two_weights_of_one_name_are_refused():
    class Double(keras.layers.Layer):
        def build(self, shape):
            self.a = self.add_weight(shape=(1,), name="w")
            self.b = self.add_weight(shape=(1,), name="w")

    layer = Double()
    layer.build((None, 1))
    with pytest.raises(ValueError, match="Two variables have the name 'w'"):
        variable_keys(layer)


def test_unbuilt_model_is_refused():
    with pytest.raises(ValueError, match="build it or call it"):
        variable_keys(keras.Sequential([keras.layers.Dense(2)]))
