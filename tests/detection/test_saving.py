"""Saved detectors: what comes back, and what is refused."""

import json

import keras
import numpy as np
import pytest

import detection
from detection.saving import FORMAT
from keras_resnet.training.artifact import load_artifact, save_artifact
from keras_resnet.training.variable_keys import variable_keys
from tests.detection.small_model import CATEGORIES, model_config, rectangles, small_model


@pytest.fixture(scope="module")
def model():
    """Random weights, statistics and offsets too, that find something."""
    keras.utils.set_random_seed(0)
    model = small_model(roi_heads={"score_threshold": 0.05, "max_detections": 20})
    generator = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(generator.normal(0, 0.2, variable.shape))
        elif variable.name == "moving_variance":
            variable.assign(generator.uniform(0.5, 2, variable.shape))
    model.seed_generator.next()
    return model


@pytest.fixture
def saved(model, tmp_path):
    return detection.save_model(model, tmp_path / "saved")


def assert_same(model, other):
    image = rectangles(2)[0]["images"][1]
    expected, found = model.detect(image), other.detect(image)
    assert len(expected) > 0
    for name in ("boxes", "scores", "classes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.names, found.category_ids) == (expected.names, expected.category_ids)


def test_round_trip(model, saved):
    loaded = detection.load(saved)
    expected, found = variable_keys(model), variable_keys(loaded)
    assert expected.keys() == found.keys()
    for key in expected:
        np.testing.assert_array_equal(np.array(found[key]), np.array(expected[key]))
    np.testing.assert_array_equal(
        np.array(loaded.seed_generator.state), np.array(model.seed_generator.state)
    )
    assert loaded.architecture == model.architecture
    assert loaded.preprocessing == model.preprocessing
    assert loaded.categories == tuple(CATEGORIES)
    assert_same(model, loaded)


def test_run_folders_give_their_best(model, tmp_path):
    detection.save_model(model, tmp_path / "run" / "weights" / "last")
    assert_same(model, detection.load(tmp_path / "run"))
    bias = model.roi_heads.classifier.bias
    before = np.array(bias)
    bias.assign(before + 1)
    detection.save_model(model, tmp_path / "run" / "weights" / "best")
    bias.assign(before)
    loaded = detection.load(str(tmp_path / "run"))
    np.testing.assert_array_equal(np.array(loaded.roi_heads.classifier.bias), before + 1)


def test_saving_again_replaces_the_artefact_but_nothing_else(model, saved, tmp_path):
    detection.save_model(model, saved)
    assert_same(model, detection.load(saved))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="left alone"):
        detection.save_model(model, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_files_are_named(saved, name, damage):
    path = saved / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-5])
    else:
        path.unlink()
    with pytest.raises(ValueError, match=name):
        detection.load(saved)


def rewritten(saved, folder, **changes):
    """The artefact with another description, its hashes right."""
    description, _ = load_artifact(saved)
    for key, value in changes.items():
        if value is None:
            del description[key]
        else:
            description[key] = value
    return save_artifact(folder, description, variable_keys(small_model()))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format": "keras_resnet.ResNet"}, "format='keras_resnet.ResNet'"),
        ({"format": None}, "format=None"),
        ({"version": 2}, "version=2"),
        ({"architecture": {"backbone": {"depth": 17}}}, r"no valid detector: (.|\n)*depth"),
        ({"architecture": None}, r"no valid detector: (.|\n)*architecture"),
        ({"categories": None}, r"no valid detector: (.|\n)*categories"),
        ({"categories": [{"id": 1}] * 3}, r"no valid detector: (.|\n)*categories.0.name"),
        ({"categories": CATEGORIES[:2]}, "do not fit this model"),
        ({"preprocessing": None}, r"no valid detector: (.|\n)*preprocessing"),
        ({"preprocessing": {"min_side": "big"}}, r"(.|\n)*preprocessing.min_side"),
        ({"precision": "float8"}, r"no valid detector: (.|\n)*precision"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(saved, tmp_path, changes, message):
    folder = rewritten(saved, tmp_path / "other", **changes)
    with pytest.raises(ValueError, match=message):
        detection.load(folder)


def test_other_weights_than_the_architecture_are_refused(model, saved, tmp_path):
    description, _ = load_artifact(saved)
    keys = variable_keys(model)
    first = next(iter(keys))
    del keys[first]
    save_artifact(tmp_path / "less", description, keys)
    with pytest.raises(ValueError, match=f"missing: {first}"):
        detection.load(tmp_path / "less")


def test_loading_opens_no_published_weights(model, saved, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("weights were looked for")

    config = model_config()
    backbone = {"depth": 18, "stem": config.backbone.stem.model_dump(), "norm": "frozen"}
    settings = {**config.model_dump(), "backbone": {**backbone, "levels": ("C2", "C3", "C4")}}
    del settings["backbone"]["stem"]
    other = detection.build_model(type(config).model_validate(settings), CATEGORIES)
    detection.save_model(other, tmp_path / "r18")
    description, _ = load_artifact(tmp_path / "r18")
    description["architecture"]["backbone"]["weights"] = "imagenet"
    save_artifact(tmp_path / "r18", description, variable_keys(other))
    monkeypatch.setattr("keras_resnet.factory.load_weights", refuse)
    loaded = detection.load(tmp_path / "r18")
    assert loaded.count_params() == other.count_params() > 2_000_000


def test_keras_files_need_trust(model, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(ValueError, match="trust=True"):
        detection.load(path)
    assert_same(model, detection.load(path, trust=True))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"model\.keras"):
        detection.load(path, trust=True)
    with pytest.raises(ValueError, match=r"missing\.keras"):
        detection.load(tmp_path / "missing.keras", trust=True)


def test_nothing_to_load_says_where_it_looked(tmp_path):
    with pytest.raises(ValueError, match="Give a run folder") as caught:
        detection.load(tmp_path / "nowhere")
    for place in ("nowhere", "nowhere/weights/best", "nowhere/weights/last"):
        assert f"  {tmp_path / place}\n" in str(caught.value) + "\n"


def test_precision_of_training_is_kept_on_request(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trained = small_model()
    finally:
        keras.config.set_dtype_policy("float32")
    folder = detection.save_model(trained, tmp_path / "saved")
    assert json.loads((folder / "model.json").read_text())["format"] == FORMAT
    plain = detection.load(folder)
    mixed = detection.load(folder, precision=None)
    policies = {layer.dtype_policy.name for layer in mixed._flatten_layers() if layer.weights}
    assert "mixed_bfloat16" in policies
    assert mixed.compute_dtype == trained.compute_dtype == "bfloat16"
    assert plain.compute_dtype == "float32"
    assert all(v.dtype == "float32" for v in mixed.trainable_variables)
    assert keras.config.dtype_policy().name == "float32"
    for key, value in variable_keys(trained).items():
        np.testing.assert_array_equal(np.array(variable_keys(mixed)[key]), np.array(value))


def test_models_without_preprocessing(model, tmp_path):
    plain = detection.build_model(model_config(), CATEGORIES)
    loaded = detection.load(detection.save_model(plain, tmp_path / "saved"))
    assert dict(loaded.preprocessing) == {}
    assert loaded.detect(np.zeros((50, 60, 3), "uint8")).size == (50, 60)


def test_models_put_together_by_hand_are_saved_as_keras_files(model, tmp_path):
    by_hand = type(model).from_config({**model.get_config(), "architecture": None})
    with pytest.raises(ValueError, match=r"model\.save\('name\.keras'\)"):
        detection.save_model(by_hand, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
