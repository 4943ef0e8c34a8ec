"""An exported classifier against `class_probabilities` and Pillow."""

import importlib.metadata
import io
import json
import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_resnet.classification.model import build_classifier, save_classifier
from keras_resnet.classification.multi_crop import class_probabilities, make_views
from keras_resnet.data.evaluation import centre_crop
from tests.keras_resnet.test_export import with_random_norms

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)
tf = pytest.importorskip("tensorflow")

from keras_resnet.classification.export import export_classifier  # noqa: E402
from keras_resnet.classification.serving import prepare_crop  # noqa: E402
from keras_resnet.classification.source import open_classifier  # noqa: E402


def picture(height, width, seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype="uint8")
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    keras.utils.set_random_seed(0)
    options = {"stage_blocks": [1, 1], "block": "basic", "width": 8, "zero_init_residual": False}
    model = build_classifier(
        "ResNet",
        options,
        ("cat", "dog", "owl"),
        evaluation={"resize": 40, "crop": 32, "interpolation": "bicubic"},
    )
    with_random_norms(model)
    model.get_layer("normalize").set_values(mean=(120, 110, 100), std=(60, 55, 50))
    dense = model.get_layer("network").get_layer("predictions")
    dense.kernel.assign(np.asarray(dense.kernel) * 3)
    return save_classifier(model, tmp_path_factory.mktemp("saved") / "net")


@pytest.fixture(scope="module")
def requests():
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "jpeg": encoded(picture(50, 75, 0), "JPEG"),
        "png": encoded(picture(120, 90, 1), "PNG"),
        "turned": encoded(picture(61, 47, 2), "JPEG", exif=turned.tobytes()),
        "text": b"this is no image",
        "small": encoded(picture(20, 30, 3), "PNG"),  # made larger
    }


def expected(source, requests):
    views = make_views("one-crop", source.resize, source.crop, source.interpolation)
    images = [ImageOps.exif_transpose(Image.open(io.BytesIO(data))) for data in requests]
    return class_probabilities(source.model, [np.asarray(image) for image in images], views)


def test_files_and_images_are_classified_as_by_the_model(folder, requests, tmp_path):
    source = open_classifier(folder)
    served = export_classifier(source, tmp_path / "served")
    signatures = tf.saved_model.load(str(served)).signatures
    outputs = signatures["serving_default"](image_bytes=tf.constant(list(requests.values())))
    right = [name for name in requests if name != "text"]
    rows = [list(requests).index(name) for name in right]
    wanted = expected(source, [requests[name] for name in right])
    assert np.ptp(wanted) > 0.2
    np.testing.assert_allclose(outputs["probabilities"].numpy()[rows], wanted, atol=5e-3)
    np.testing.assert_array_equal(outputs["classes"].numpy()[rows], wanted.argmax(axis=1))
    assert outputs["valid"].numpy().tolist() == [name != "text" for name in requests]
    row = list(requests).index("text")
    assert outputs["classes"][row] == -1 and not outputs["probabilities"][row].numpy().any()

    images = np.stack([np.asarray(picture(32, 32, seed)) for seed in range(4)]).astype("float32")
    found = signatures["serve"](images=tf.constant(images))
    logits = np.asarray(source.model(images), "float64")
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["probabilities"], shares, atol=1e-4)

    nothing = signatures["serving_default"](image_bytes=tf.constant([], tf.string))
    assert nothing["probabilities"].shape == (0, 3)


def test_metadata(folder, tmp_path):
    source = open_classifier(folder)
    served = export_classifier(source, tmp_path / "served", dtype="bfloat16", constant=False)
    facts = json.loads((served / "assets" / "classifier.json").read_text())
    for reason in ("did not decode", "smaller than the crop", "not finite"):
        assert reason in facts["outputs"]["valid"]
    assert facts["class_names"] == ["cat", "dog", "owl"]
    assert facts["preprocessing"] == {
        "resize": 40,
        "crop": 32,
        "interpolation": "bicubic",
        "normalization": "inside the model",
    }
    assert (facts["version"], facts["dtype"], facts["constant_weights"]) == (1, "bfloat16", False)
    assert facts["architecture"]["network"] == "ResNet"
    assert facts["architecture"]["options"]["stage_blocks"] == [1, 1]
    assert facts["package_version"] == importlib.metadata.version("keras-resnet-detection")
    check = facts["self_check"]
    assert check["images"] == 4 and check["tolerance"] == 0.1
    assert 1e-5 < check["max_probability_difference"] < 0.1
    assert 0 <= check["top1_agreement"] <= 1


def test_refused(folder, tmp_path):
    source = open_classifier(folder)
    with pytest.raises(ValueError, match="At least one sample"):
        export_classifier(source, tmp_path / "served", samples=[])
    with pytest.raises(ValueError, match="uint8 array"):
        export_classifier(source, tmp_path / "served", samples=[np.zeros((40, 40, 3))])
    with pytest.raises(ValueError, match="was not published"):
        export_classifier(source, tmp_path / "served", dtype="bfloat16", tolerance=1e-7)
    assert list((tmp_path / "served").iterdir()) == []


SIZES = ((50, 75), (121, 90), (20, 31))


@pytest.mark.parametrize(
    ("interpolation", "size"),
    [
        *((kind, size) for kind in ("nearest", "bilinear", "bicubic", "lanczos") for size in SIZES),
        # From 32 to 40 pixels, some lie in the middle of two: not for "nearest".
        *((kind, (33, 32)) for kind in ("bilinear", "bicubic", "lanczos")),
    ],
)
def test_crop_equals_pillow(interpolation, size):
    image = np.asarray(picture(*size, seed=4))
    found, fits = prepare_crop(tf.constant(image), 40, 33, interpolation)
    assert fits
    wanted = centre_crop(image, 40, 33, interpolation).astype("float32")
    difference = np.abs(found - wanted)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.06


def test_an_image_that_is_smaller_than_the_crop_is_no_answer():
    image = tf.constant(np.asarray(picture(31, 50, seed=5)))
    found, fits = prepare_crop(image, None, 32)
    assert not fits and not found.numpy().any()
    assert prepare_crop(image, None, 31)[1]


def run_script(monkeypatch, *arguments):
    scripts = Path(__file__).parents[3] / "scripts"
    monkeypatch.syspath_prepend(scripts)
    monkeypatch.setattr(sys, "argv", ["export_saved_model.py", *map(str, arguments)])
    runpy.run_path(scripts / "export_saved_model.py", run_name="__main__")


def test_script(folder, tmp_path, monkeypatch, capsys):
    picture(60, 80, seed=0).save(tmp_path / "a.png")
    arguments = (folder, tmp_path / "served", "--dtype", "bfloat16")
    run_script(monkeypatch, *arguments, "--samples", tmp_path / "a.png")
    printed = capsys.readouterr().out
    assert str(tmp_path / "served" / "1") in printed
    assert "top1_agreement: 1" in printed and "max_probability_difference: " in printed
    assert "serving_default(image_bytes: string [B]" in printed
    assert "classes: cat, dog, owl" in printed
    with pytest.raises(SystemExit, match="2"):
        run_script(monkeypatch, *arguments, "--set", "model.test_time=null")
    assert "for detectors" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".onnx", ".tflite"])
def test_script_writes_files(folder, tmp_path, monkeypatch, capsys, ending):
    pytest.importorskip({".onnx": "tf2onnx", ".tflite": "ai_edge_litert"}[ending])
    output = tmp_path / f"net{ending}"
    run_script(monkeypatch, folder, output)
    printed = capsys.readouterr().out
    assert f"Exported to {output}" in printed and f"{output}.json" in printed
    assert f"{output.name}(images: float32 [B, 32, 32, 3]" in printed
    assert "top1_agreement: 1" in printed and "classes: cat, dog, owl" in printed
    with pytest.raises(SystemExit, match="2"):
        run_script(monkeypatch, folder, output)
    assert "never overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["net.onnx", "--dtype", "bfloat16", "--warmup"], "Received: --dtype, --warmup"),
        (["net.tflite", "--version", "2"], "These are for SavedModels"),
        (["net", "--format", "onnx"], "--format onnx must end with .onnx"),
        (["net.onnx", "--format", "savedmodel"], "must be a folder"),
        (["net", "--image-size", "32", "32"], "Only a detector as ONNX"),
        (["net.onnx", "--image-size", "32", "32"], "are for detectors"),
    ],
)
def test_options_that_contradict(folder, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        run_script(monkeypatch, folder, *arguments)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
