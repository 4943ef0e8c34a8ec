"""Every network of the tables: its parameters, its arguments, the names it is exported by."""

import inspect

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.variants import CIFAR_NETWORKS, IMAGENET_NETWORKS

# Trainable parameters and norm statistics, as published implementations count them:
# keras.applications for V2, timm for D and SE, He et al. 2015 (plain-34 is ResNet-34 A) and
# table 6 there (0.27M, 0.46M, 0.66M, 0.85M, 1.7M, 19.4M) for CIFAR.
COUNTS = {
    "ResNet50V2": (25_568_360, 45_440),
    "ResNet101V2": (44_577_896, 97_664),
    "ResNet152V2": (60_236_904, 143_744),
    "ResNet50D": (25_576_264, 53_248),
    "SEResNet50": (28_088_024, 53_120),
    "PlainNet34": (21_623_848, 15_232),
    "CifarResNet20": (269_722, 1_376),
    "CifarResNet32": (464_154, 2_272),
    "CifarResNet44": (658_586, 3_168),
    "CifarResNet56": (853_018, 4_064),
    "CifarResNet110": (1_727_962, 8_096),
    "CifarResNet1202": (19_421_274, 2 * 16 + 400 * 2 * (16 + 32 + 64)),
    "CifarPlain20": (269_722, 1_376),
    "CifarPlain1202": (19_421_274, 2 * 16 + 400 * 2 * (16 + 32 + 64)),
}


def count(weights):
    return sum(int(np.prod(w.shape)) for w in weights)


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    # The shapes of the weights are enough, so none is allocated.
    with keras.StatelessScope(initialize_variables=False):
        model = getattr(keras_resnet, name)()
    assert (count(model.trainable_weights), count(model.non_trainable_weights)) == COUNTS[name]


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, 1202])
def test_projections_on_cifar_add_their_parameters(depth):
    with keras.StatelessScope(initialize_variables=False):
        model = getattr(keras_resnet, f"CifarResNet{depth}")(shortcut="projection")
    assert count(model.trainable_weights) == COUNTS[f"CifarResNet{depth}"][0] + 2_752


def test_highways_add_a_gate_to_every_block():
    # He et al.'s widths: 3 gates of 16 to 16 channels, 16 to 32 and 2 of 32, 32 to 64 and 2 of 64
    gates = 3 * (16 * 16 + 16) + (16 + 2 * 32 + 3) * 32 + (32 + 2 * 64 + 3) * 64
    model = keras_resnet.CifarHighway20()
    assert count(model.trainable_weights) == 269_722 + gates
    for layer in model.layers:
        if layer.name.startswith("stage"):
            assert np.all(np.array(layer.shortcut.gate.bias) < 0)


def test_cifar_networks_take_any_size_channels_and_classes():
    model = keras_resnet.CifarResNet20(input_shape=(28, 20, 1), classes=7)
    assert tuple(model(np.zeros((2, 28, 20, 1), "float32")).shape) == (2, 7)
    assert keras_resnet.CifarResNet20().input_shape == (None, 32, 32, 3)
    features = keras_resnet.feature_info(keras_resnet.CifarResNet20(include_top=False))
    assert [feature["stride"] for feature in features.values()] == [1, 2, 4]


def test_where_the_zeros_go_reaches_every_block():
    model = keras_resnet.CifarResNet20(shortcut={"kind": "zero_pad", "zeros": "both"})
    assert model.get_layer("stage3_block1").shortcut.zeros == "both"
    again = keras_resnet.ResNet.from_config(model.get_config())
    assert again.get_layer("stage4_block1").shortcut.zeros == "both"


def test_every_row_is_exported_and_takes_the_arguments_of_keras_applications():
    theirs = list(inspect.signature(keras.applications.ResNet50).parameters)
    for name in (*IMAGENET_NETWORKS, *CIFAR_NETWORKS):
        factory = getattr(keras_resnet, name)
        assert name in keras_resnet.__all__
        assert factory.__name__ == name
        assert list(inspect.signature(factory).parameters)[: len(theirs)] == theirs
        assert inspect.signature(factory).parameters["name"].default == name.lower()


@pytest.mark.parametrize("name", ["ResNet50V2", "ResNet101V2", "ResNet152V2"])
def test_names_are_those_of_keras_applications(name):
    theirs = inspect.signature(getattr(keras.applications, name)).parameters["name"].default
    ours = inspect.signature(getattr(keras_resnet, name)).parameters["name"].default
    assert ours == theirs


def own_input():
    return keras.Input((64, 80, 3))


def made_by_a_layer():
    return keras.layers.Rescaling(1 / 255)(keras.Input((64, 80, 3)))


# A call of keras.applications.ResNet50 for each of its arguments, and with all in their order.
CALLS = {
    "nothing": ((), {"weights": None}),
    "include_top": ((), {"include_top": False, "weights": None}),
    "weights": ((), {"weights": "FILE", "include_top": False}),
    "input_tensor": ((), {"input_tensor": own_input, "include_top": False, "weights": None}),
    "tensor_of_a_layer": (
        (),
        {"input_tensor": made_by_a_layer, "weights": None, "classes": 3},
    ),
    "input_shape": ((), {"input_shape": (96, 64, 3), "include_top": False, "weights": None}),
    "pooling_avg": ((), {"pooling": "avg", "include_top": False, "weights": None}),
    "pooling_max": ((), {"pooling": "max", "include_top": False, "weights": None}),
    "classes": ((), {"classes": 12, "weights": None}),
    "classifier_activation": ((), {"classifier_activation": None, "weights": None}),
    "name": ((), {"name": "backbone", "weights": None}),
    "positions": ((False, None, None, (64, 64, 3), "avg", 5, None, "all"), {}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A weights file of either library's network without classifier."""
    folder = tmp_path_factory.mktemp("weights")
    made = {}
    for library in (keras.applications, keras_resnet):
        model = library.ResNet50(weights=None, include_top=False)
        made[library] = str(folder / f"{library.__name__}.weights.h5")
        model.save_weights(made[library])
    return made


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_keras_applications_works_by_changing_the_import(call, files):
    args, kwargs = CALLS[call]
    made = {}
    for library in (keras.applications, keras_resnet):
        mine = {key: value() if callable(value) else value for key, value in kwargs.items()}
        if "weights" in mine and mine["weights"] == "FILE":
            mine["weights"] = files[library]
        made[library] = library.ResNet50(*args, **mine)
    theirs, ours = made[keras.applications], made[keras_resnet]
    assert ours.input_shape == theirs.input_shape
    assert ours.output_shape == theirs.output_shape
    assert ours.name == theirs.name
    if "predictions" in [layer.name for layer in theirs.layers]:
        assert ours.layers[-1].activation is theirs.layers[-1].activation
