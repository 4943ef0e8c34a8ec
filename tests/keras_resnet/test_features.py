import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.normalization import BatchNormalization


def make_model(**arguments):
    defaults = {"stage_blocks": (1, 1, 1), "block": "basic", "width": 8, "classes": 3}
    return keras_resnet.ResNet(**{**defaults, **arguments})


IMAGES = np.random.default_rng(0).standard_normal((4, 33, 41, 3)).astype("float32")


def test_info_agrees_with_what_comes_out():
    backbone = make_model(include_top=False)
    info = keras_resnet.feature_info(backbone)
    features = keras_resnet.feature_extractor(backbone, tuple(info))(IMAGES)
    assert list(info) == ["C2", "C3", "C4"]
    for name, feature in features.items():
        stride, channels = info[name]["stride"], info[name]["channels"]
        assert tuple(feature.shape) == (4, -(-33 // stride), -(-41 // stride), channels)
    np.testing.assert_array_equal(features["C4"], backbone(IMAGES))


@pytest.mark.parametrize(
    "stem,stride",
    [("imagenet", 4), ("3x3", 1), ({"stride": 2}, 2), ({"stride": 2, "pool": True}, 4)],
)
def test_stride_of_the_stems(stem, stride):
    backbone = make_model(include_top=False, stem=stem)
    assert keras_resnet.feature_info(backbone)["C2"]["stride"] == stride
    feature = keras_resnet.feature_extractor(backbone, ("C2",))(IMAGES)["C2"]
    assert tuple(feature.shape) == (4, -(-33 // stride), -(-41 // stride), 8)


def test_extractor_shares_weights_and_drops_the_rest():
    backbone = make_model()
    features = keras_resnet.feature_extractor(backbone, ("C3",))
    ours = {id(w) for w in features.weights}
    assert ours < {id(w) for w in backbone.weights}
    assert not any(w.path.startswith(("stage4", "predictions")) for w in features.weights)


@pytest.mark.parametrize("names", [("C5",), ()])
def test_unknown_features_are_refused(names):
    with pytest.raises(ValueError, match="C2, C3, C4"):
        keras_resnet.feature_extractor(make_model(), names)


def test_one_name_is_enough():
    features = keras_resnet.feature_extractor(make_model(), "C3")(IMAGES)
    assert list(features) == ["C3"]


def test_a_stage_of_one_block_that_strides_has_no_feature_map():
    backbone = make_model(stage_blocks=(1, 2, 1, 2), stride_at="last", include_top=False)
    info = keras_resnet.feature_info(backbone)
    assert {name: part["stride"] for name, part in info.items()} == {"C3": 8, "C5": 32}
    features = keras_resnet.feature_extractor(backbone, ("C3", "C5"))(IMAGES)
    assert [tuple(feature.shape) for feature in features.values()] == [
        (4, 5, 6, 16),
        (4, 2, 2, 64),
    ]
    with pytest.raises(ValueError, match=r"C3, C5; .* stride_at='first'"):
        keras_resnet.feature_extractor(backbone, ("C2", "C3"))


def test_models_without_a_network_are_refused():
    nested = keras.Sequential([keras.Input((33, 41, 3)), make_model(include_top=False)])
    for function in (keras_resnet.feature_extractor, keras_resnet.feature_info):
        with pytest.raises(ValueError, match="nested model; pass that network"):
            function(nested)


def moving_statistics(model):
    norms = [x for x in model._flatten_layers() if isinstance(x, BatchNormalization)]
    return {w.path: np.array(w) for n in norms for w in (n.moving_mean, n.moving_variance)}


@pytest.mark.parametrize("norms", [True, False])
def test_frozen_statistics_stay_through_a_training_step(norms):
    model = make_model(zero_init_residual=False)
    keras_resnet.freeze(model, up_to="C2", norms=norms)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    weights = {w.path: np.array(w) for w in model.weights}
    statistics = moving_statistics(model)
    model.train_on_batch(IMAGES, np.array([0, 1, 2, 0]))
    for path, value in moving_statistics(model).items():
        stays = norms or path.startswith(("stem", "stage2"))
        assert np.array_equal(value, statistics[path]) == stays, path
    for w in model.weights:
        if w.path in statistics:
            continue
        frozen = w.path.startswith(("stem", "stage2")) or (norms and "norm" in w.path)
        assert np.array_equal(w, weights[w.path]) == frozen, w.path


def test_freeze_the_stem_or_nothing():
    model = keras_resnet.freeze(make_model(), up_to="stem", norms=False)
    assert [x.name for x in model.layers if not x.trainable] == ["stem"]
    model = keras_resnet.freeze(make_model(), up_to=None, norms=False)
    assert all(layer.trainable for layer in model.layers)
    with pytest.raises(ValueError, match="Received: up_to='C7'"):
        keras_resnet.freeze(make_model(), up_to="C7")


def test_saved_models_stay_frozen(tmp_path):
    model = keras_resnet.freeze(make_model(zero_init_residual=False), up_to="C2")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    model.train_on_batch(IMAGES, np.array([0, 1, 2, 0]))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    paths = [w.path for w in model.trainable_weights]
    assert paths
    assert [w.path for w in again.trainable_weights] == paths
    for ours, theirs in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def nest_in_sequential(backbone):
    return keras.Sequential(
        [keras.Input((33, 41, 3)), backbone, keras.layers.Dense(3, activation="softmax")]
    )


def nest_features(backbone):
    inputs = keras.Input((33, 41, 3))
    features = keras_resnet.feature_extractor(backbone, ("C3", "C4"))(inputs)
    pooled = [keras.layers.GlobalAveragePooling2D()(f) for f in features.values()]
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Concatenate()(pooled))
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("nest", [nest_in_sequential, nest_features])
@pytest.mark.parametrize("first", ["freeze", "nest"])
@pytest.mark.parametrize("block", ["basic", "preact_basic"])
def test_frozen_networks_stay_so_in_other_models(nest, first, block, tmp_path):
    backbone = make_model(block=block, include_top=False, pooling="avg", zero_init_residual=False)
    if first == "freeze":
        model = nest(keras_resnet.freeze(backbone, up_to="C2"))
    else:
        model = keras_resnet.freeze(nest(backbone), up_to="C2")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    before = {w.path: np.array(w) for w in model.weights}
    statistics = moving_statistics(model)
    assert statistics
    model.train_on_batch(IMAGES, np.array([0, 1, 2, 0]))
    for path, value in moving_statistics(model).items():
        np.testing.assert_array_equal(value, statistics[path])
    for w in model.weights:
        frozen = "norm" in w.path or w.path.startswith(("stem", "stage2"))
        assert np.array_equal(w, before[w.path]) == frozen, w.path

    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert len(again.trainable_weights) == len(model.trainable_weights)
    statistics = moving_statistics(again)
    again.train_on_batch(IMAGES, np.array([0, 1, 2, 0]))
    for path, value in moving_statistics(again).items():
        np.testing.assert_array_equal(value, statistics[path])


def test_freezing_a_model_without_network_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="contains no network of keras_resnet"):
        keras_resnet.freeze(model)
