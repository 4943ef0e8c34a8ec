"""Models without memory: equal shapes, nothing left behind."""

import keras
import pytest

import keras_resnet
from keras_resnet.untrusted.dry_run import dry_run


def shapes(model):
    return [(v.path, tuple(v.shape), v.dtype) for v in model.weights]


def test_a_model_has_its_shapes():
    def build():
        return keras_resnet.ResNet((1, 2), width=8, squeeze_excitation=4, classes=3)

    assert dry_run(lambda: shapes(build())) == shapes(build())


def test_weights_take_no_memory():
    def build():
        model = keras.Sequential([keras.Input((10**6,)), keras.layers.Dense(10**6)])
        return model.count_params()

    assert dry_run(build) == 10**12 + 10**6


def test_nothing_is_left_for_later():
    """Keras gives values to what waits for them at the end of any such scope."""

    def build():
        layer = keras.layers.Dense(10**7)
        layer.build((None, 10**7))
        return layer.name

    before = keras.layers.Dense(1).name
    dry_run(build)
    with keras.StatelessScope():
        small = keras.Variable(lambda shape, dtype: keras.ops.ones(shape, dtype), shape=(2,))
    assert keras.ops.convert_to_numpy(small).tolist() == [1, 1]
    number = int(before.split("_")[-1]) if "_" in before else 0
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"


def test_policy_and_errors_are_those_of_the_caller():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert dry_run(lambda: keras.layers.Dense(1).compute_dtype) == "bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)

    def fail():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        dry_run(fail)
