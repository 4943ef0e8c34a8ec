"""Exported networks, run by a process that has only TensorFlow, against the model."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.export import export_saved_model
from keras_resnet.export_check import compare_classes, compare_outputs
from tests.keras_resnet.test_export import with_random_norms

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)

# Runs where neither Keras nor this package can be imported.
SERVER = """
import sys
for name in ("keras", "keras_resnet", "detection"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf

folder, images, answers = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
images = tf.constant(np.load(images))
outputs = signatures["serve"](images=images)
same = signatures["serving_default"](images=images)
for name, value in outputs.items():
    assert value.dtype == tf.float32
    np.testing.assert_array_equal(value, same[name])
np.savez(answers, **{name: value.numpy() for name, value in outputs.items()})
"""


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    network = keras_resnet.ResNet((1, 1), width=8, input_shape=(64, 64, 3), classes=5)
    network.preprocessing = "torch"
    return with_random_norms(network)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(0, 1, (6, 64, 64, 3)).astype("float32")


def served(folder, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-c", SERVER, folder, tmp_path / "images.npy", tmp_path / "answers.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "answers.npz") as answers:
        return dict(answers)


def metadata(folder):
    return json.loads((folder / "assets" / "network.json").read_text())


def test_float32_answers_as_the_model_does(model, images, tmp_path):
    folder = export_saved_model(model, tmp_path / "net", samples=images)
    assert folder == tmp_path / "net" / "1"
    expected = model.predict(images, verbose=0)
    assert np.ptp(expected) > 0.1
    found = served(folder, images, tmp_path)
    np.testing.assert_allclose(found["outputs"], expected, atol=1e-5)
    facts = metadata(folder)
    assert facts["version"] == 1 and facts["dtype"] == "float32"
    assert "style 'torch'" in facts["signatures"]["serve"]["images"]
    assert facts["outputs"] == {"outputs": "float32 [B, 5]"}
    again = keras.models.model_from_json(json.dumps(facts["architecture"]))
    assert again.count_params() == model.count_params()
    assert facts["self_check"]["images"] == 6
    assert facts["self_check"]["max_probability_difference"] <= 1e-5
    assert facts["self_check"]["top1_agreement"] == 1.0
    assert b"FusedBatchNorm" not in (folder / "saved_model.pb").read_bytes()


def test_bfloat16_says_how_far_it_is_off(model, images, tmp_path):
    wide = export_saved_model(model, tmp_path / "net", samples=images)
    folder = export_saved_model(model, tmp_path / "net", samples=images, dtype="bfloat16")
    expected = model.predict(images, verbose=0)
    found = served(folder, images, tmp_path)["outputs"]
    check = metadata(folder)["self_check"]
    worst = np.abs(found - expected).max()
    assert 1e-5 < worst <= 0.1  # 16 bits, but not far off
    assert check["max_probability_difference"] == pytest.approx(worst, rel=0.01)
    assert check["tolerance"] == 0.1
    size = [(f / "saved_model.pb").stat().st_size for f in (folder, wide)]
    assert size[1] - size[0] > 1.5 * model.count_params()  # two of four bytes
    with pytest.raises(ValueError, match="greater `tolerance`"):
        export_saved_model(
            model, tmp_path / "net", samples=images, dtype="bfloat16", tolerance=worst / 10
        )
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == ["1", "2"]


def test_weights_in_variables(model, images, tmp_path):
    folder = export_saved_model(model, tmp_path / "net", samples=images, constant=False)
    found = served(folder, images, tmp_path)["outputs"]
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-5)
    variables = folder / "variables" / "variables.data-00000-of-00001"
    assert variables.stat().st_size > 0.5 * 4 * model.count_params()
    assert metadata(folder)["constant_weights"] is False


def test_feature_maps_by_name_of_a_network_trained_in_16_bits(tmp_path):
    backbone = keras_resnet.ResNet(
        (1, 1), "basic", width=8, include_top=False, dtype="mixed_bfloat16"
    )
    extractor = keras_resnet.feature_extractor(with_random_norms(backbone), ("C2", "C3"))
    folder = export_saved_model(extractor, tmp_path / "net")
    # Free sizes; the export is in float32.
    images = np.random.default_rng(1).normal(0, 1, (2, 40, 72, 3)).astype("float32")
    found = served(folder, images, tmp_path)
    wide = keras_resnet.ResNet((1, 1), "basic", width=8, include_top=False, dtype="float32")
    wide.set_weights(backbone.get_weights())
    expected = keras_resnet.feature_extractor(wide, ("C2", "C3"))(images)
    assert set(found) == {"C2", "C3"}
    for name, value in expected.items():
        value = np.asarray(value)
        assert np.abs(found[name] - value).max() <= 1e-4 * np.abs(value).max()
    assert "max_relative_difference" in metadata(folder)["self_check"]


def test_what_is_refused(model, images, tmp_path, monkeypatch):
    export = {"model": model, "path": tmp_path / "net", "samples": images}
    for changed, words in (
        ({"dtype": "float16"}, "dtype='float16'"),
        ({"tolerance": 0}, "above 0"),
        ({"version": 0}, "int above 0"),
        ({"samples": images[:0]}, "at least one image"),
        ({"samples": images[0]}, "at least one image"),
        ({"model": keras.Sequential([keras_resnet.BasicBlock(8)])}, "not built"),
    ):
        with pytest.raises(ValueError, match=words):
            export_saved_model(**{**export, **changed})
    two = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    both = keras.Model(two, keras.layers.Add()(two))
    with pytest.raises(ValueError, match="one input"):
        export_saved_model(**{**export, "model": both})
    assert not (tmp_path / "net").exists()
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        export_saved_model(**export)


def test_differences_by_hand():
    expected = np.array([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]])
    served = np.array([[0.25, 0.5, 0.25], [0.1, 0.9, 0.0]])
    found = compare_classes(expected, served)
    assert found["max_probability_difference"] == 0.25
    assert found["max_logit_difference"] == pytest.approx(np.log(2))
    assert found["top1_agreement"] == 0.5
    relative = compare_outputs({"a": np.array([4.0, -8.0])}, {"a": np.array([4.0, -6.0])})
    assert relative == {"max_relative_difference": 0.25}
    broken = compare_outputs({"a": np.array([1.0])}, {"a": np.array([np.nan])})
    assert broken == {"max_relative_difference": np.inf}
