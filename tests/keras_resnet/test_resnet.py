import keras
import numpy as np
import pytest

import keras_resnet


def count(weights):
    return sum(int(np.prod(w.shape)) for w in weights)


def small(**arguments):
    """A network that builds and runs in no time."""
    defaults = {"stage_blocks": (1, 2), "block": "bottleneck", "width": 8, "classes": 5}
    return keras_resnet.ResNet(**{**defaults, **arguments})


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


# He et al. 2015, table 1, as published implementations count them.
@pytest.mark.parametrize(
    "factory,arguments,trainable,statistics",
    [
        ("ResNet18", {}, 11_689_512, 9_600),
        ("ResNet34", {}, 21_797_672, 17_024),
        ("ResNet34", {"shortcut": "zero_pad"}, 21_623_848, 15_232),
        ("ResNet34", {"shortcut": "projection_all"}, 22_716_840, 22_784),
        ("ResNet50", {}, 25_557_032, 53_120),
        ("ResNet50", {"stride_in": "1x1"}, 25_557_032, 53_120),
        ("ResNet101", {}, 44_549_160, 105_344),
        ("ResNet152", {}, 60_192_808, 151_424),
    ],
)
def test_parameter_counts(factory, arguments, trainable, statistics):
    model = getattr(keras_resnet, factory)(**arguments)
    assert count(model.trainable_weights) == trainable
    assert count(model.non_trainable_weights) == statistics


def test_layer_names_are_stable():
    names = [layer.name for layer in small().layers]
    assert names == [
        "images",
        "stem",
        "stage2_block1",
        "stage3_block1",
        "stage3_block2",
        "avg_pool",
        "predictions",
    ]


FULL = {
    "stage_blocks": (1, 1, 1),
    "width": 8,
    "stem": {"kernel_size": 5, "stride": 2, "pool": True},
    "shortcut": "projection_all",
    "stride_in": "1x1",
    "norm": {"kind": "batch", "momentum": 0.8},
    "zero_init_residual": False,
    "stochastic_depth": 0.3,
    "output_stride": 8,
    "classes": 7,
    "classifier_activation": "sigmoid",
    "input_shape": (None, 40, 4),
    "data_format": "channels_last",
    "dtype": "mixed_bfloat16",
    "name": "everything",
}


@pytest.mark.parametrize("arguments", [{}, FULL, {"include_top": False, "pooling": "max"}])
def test_keras_file_round_trip(arguments, tmp_path):
    model = small(**arguments)
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.5, 1.0, w.shape) for w in model.weights])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert type(again) is keras_resnet.ResNet
    assert again.get_config() == model.get_config()
    for name, value in arguments.items():
        found = again.get_config()[name]
        assert (found["config"]["name"] if name == "dtype" else found) == value
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    x = images(2, 40, 40, 4 if "input_shape" in arguments else 3)
    np.testing.assert_array_equal(again(x), model(x))


def test_weights_file_round_trip(tmp_path):
    model, other = small(), small()
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_input_tensor_made_by_other_layers(tmp_path):
    raw = keras.Input((40, 48, 3), name="raw")
    model = keras_resnet.ResNet18(input_tensor=keras.layers.Rescaling(0.5)(raw), classes=4)
    plain = keras_resnet.ResNet18(input_shape=(40, 48, 3), classes=4)
    plain.set_weights(model.get_weights())
    x = images(1, 40, 48, 3)
    np.testing.assert_allclose(model(x), plain(0.5 * x), rtol=1e-5)
    model.save(tmp_path / "m.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "m.keras")(x), model(x))
    assert tuple(keras_resnet.feature_extractor(model, ["C3"])(x)["C3"].shape) == (1, 5, 6, 128)


def test_uint8_images_are_taken_as_they_are():
    model = small()
    x = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), dtype="uint8")
    expected = model(x.astype("float32"))
    np.testing.assert_array_equal(model(x), expected)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-7)


def test_a_policy_of_its_own_wins_over_the_global_one():
    x = images(2, 24, 24, 3)
    model = small(dtype="float32")
    expected = np.array(model(x))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        again = keras_resnet.ResNet.from_config(model.get_config())
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again(x), expected)
    finally:
        keras.config.set_dtype_policy("float32")


def test_channels_first_equals_channels_last():
    last = small(include_top=False, data_format="channels_last", zero_init_residual=False)
    first = small(include_top=False, data_format="channels_first", zero_init_residual=False)
    first.set_weights(last.get_weights())
    x = images(2, 24, 20, 3)
    outputs = np.array(first(x.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(outputs.transpose(0, 2, 3, 1), last(x), atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride_in": "1x1"},
        {"block": "basic"},
        {"block": "basic", "shortcut": "zero_pad"},
        {"block": "preact_bottleneck", "stride_at": "last", "shortcut": "max_pool"},
        {"block": "preact_basic"},
    ],
)
def test_output_stride_dilates_instead_of_striding(options):
    options = {"stage_blocks": (2, 2, 2), "zero_init_residual": False, **options}
    strided = small(include_top=False, **options)
    dilated = small(include_top=False, output_stride=4, **options)
    dilated.set_weights(strided.get_weights())
    x = images(1, 64, 64, 3)
    dense = np.array(dilated(x))
    assert dense.shape[1:3] == (16, 16)
    # "À trous": every fourth pixel of the dense map is the strided map, borders included,
    # because zero padding and dilation commute with the subsampling.
    np.testing.assert_allclose(dense[:, ::4, ::4], strided(x), atol=1e-3)
    assert [info["stride"] for info in keras_resnet.feature_info(dilated).values()] == [4, 4, 4]


def test_average_pooling_keeps_its_window_only_where_it_strides():
    model = small(
        stage_blocks=(1, 1, 1), include_top=False, stem="deep", shortcut="avg_pool", output_stride=8
    )
    assert tuple(model(images(1, 64, 64, 3)).shape) == (1, 8, 8, 128)


@pytest.mark.parametrize(
    "arguments,match",
    [
        ({"block": "basics"}, "Did you mean 'basic'"),
        ({"shortcut": "B"}, "Received: shortcut='B'"),
        ({"norm": "layer"}, "Received: norm='layer'"),
        ({"stem": "7x7"}, "Received: stem='7x7'"),
        ({"stem": {"kernel": 3}}, "Did you mean 'kernel_size'"),
        ({"stride_at": "end"}, "Received: stride_at='end'"),
        ({"squeeze_excitation": 0}, "Received: ratio=0"),
        ({"stochastic_depth": 0.1, "shortcut": "none"}, "shortcut='none'"),
        ({"stride_in": "1x1", "block": "basic"}, "Received: stride_in='1x1'"),
        ({"stage_blocks": (2, 0)}, r"Received: stage_blocks=\(2, 0\)"),
        ({"stage_blocks": 3}, "Received: stage_blocks=3"),
        ({"stage_blocks": "34"}, "Received: stage_blocks='34'"),
        ({"norm": None}, "Received: norm=None"),
        ({"output_stride": 2}, "Received: output_stride=2"),
        ({"output_stride": 12}, "Received: output_stride=12"),
        ({"pooling": "mean", "include_top": False}, "Received: pooling='mean'"),
        ({"input_shape": (32, 32)}, r"Received: input_shape=\(32, 32\)"),
        ({"input_shape": (32, 32, None)}, "known number of channels"),
        ({"input_tensor": np.zeros((1, 8, 8, 3))}, "symbolic tensor"),
        ({"input_tensor": keras.Input((8, 8, 3)), "input_shape": (9, 9, 3)}, "contradicts"),
        ({"data_format": "channels"}, "Received: data_format='channels'"),
    ],
)
def test_bad_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        small(**arguments)


@pytest.mark.parametrize("factory", [keras_resnet.ResNet, keras_resnet.ResNet18])
def test_unknown_arguments_are_refused(factory):
    with pytest.raises(TypeError, match="colour"):
        factory(colour=1)
