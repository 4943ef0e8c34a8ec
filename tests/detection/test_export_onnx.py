"""Detectors as ONNX files, finished by a client that has NumPy, Pillow and ONNX Runtime only."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from detection.export_onnx import check_image_size, export_onnx, fit_image
from detection.load_image import load_image
from keras_resnet.model_file import metadata_path
from tests.detection.test_architectures import ARCHITECTURES, build
from tests.detection.test_export import make_model, picture
from tests.detection.test_export_architectures import with_statistics

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="files are made of a TensorFlow graph"
)

# As docs/export.md describes it.
CLIENT = """
import json, sys
for name in ("tensorflow", "keras", "keras_resnet", "detection"):
    sys.modules[name] = None
import numpy as np
import onnxruntime

file, images, answers = sys.argv[1:]
facts = json.load(open(file + ".json"))
session = onnxruntime.InferenceSession(file)


def iou(box, others):
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.maximum(high - low, 0).prod(axis=1)
    area = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - common
    return common / np.maximum(area, 1e-9)


results = {}
with np.load(images) as inputs:
    for name in sorted({key.split()[0] for key in inputs}):
        feed = {key: inputs[f"{name} {key}"] for key in ("images", "image_sizes")}
        boxes, scores = (x[0] for x in session.run(["boxes", "scores"], feed))
        found = []
        for index in range(scores.shape[1]):
            kept = []
            for row in np.argsort(-scores[:, index], kind="stable"):
                box = boxes[row, index]
                if scores[row, index] <= facts["score_threshold"]:
                    break
                if not kept or iou(box, np.array(kept)).max() <= facts["nms_threshold"]:
                    kept.append(box)
                    found.append([*box, scores[row, index], index])
        found.sort(key=lambda row: -row[4])
        results[name] = np.array(found[: facts["max_detections"]], "float32").reshape(-1, 6)
np.savez(answers, **results)
"""


def run_client(path, images, preprocessing, size, tmp_path):
    """What the client finds in images, in their own pixels."""
    inputs = {}
    for index, image in enumerate(images):
        fitted, sizes = fit_image(image, preprocessing, size)
        inputs |= {f"{index} images": fitted, f"{index} image_sizes": sizes}
    np.savez(tmp_path / "inputs.npz", **inputs)
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, path, tmp_path / "inputs.npz", tmp_path / "answers.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = []
    with np.load(tmp_path / "answers.npz") as answers:
        for index, image in enumerate(images):
            rows = answers[str(index)]
            scale = np.array(image.shape[:2]) / inputs[f"{index} image_sizes"][0]
            rows[:, :4] *= np.tile(scale[::-1], 2)
            found.append(rows)
    return found


def expected(model, image, size):
    """What the model finds in an image padded to a size, as rows of the client."""
    images, sizes = fit_image(image, model.preprocessing, size)
    outputs = model({"images": images, "image_sizes": sizes}, training=False)
    outputs = {name: np.asarray(value)[0] for name, value in outputs.items()}
    count = int(outputs["num_detections"])
    scale = np.array(image.shape[:2]) / sizes[0]
    boxes = outputs["boxes"][:count] * np.tile(scale[::-1], 2)
    return np.concatenate(
        [boxes, outputs["scores"][:count, None], outputs["classes"][:count, None]], axis=1
    )


def assert_same(found, expected, least=3):
    assert len(found) == len(expected) >= least
    np.testing.assert_array_equal(found[:, 5], expected[:, 5])
    np.testing.assert_allclose(found[:, 4], expected[:, 4], atol=1e-4)
    np.testing.assert_allclose(found[:, :4], expected[:, :4], atol=1e-2)


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    return make_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export_onnx(model, tmp_path_factory.mktemp("onnx") / "net.onnx", (64, 96))


def test_client_finds_what_the_model_does(model, exported, tmp_path):
    # The first is resized to just this size, which makes it what `detect` looks at; the third
    # would not fit.
    sizes = [(50, 75), (120, 190), (120, 90)]
    images = [np.asarray(picture(*size, seed=i)) for i, size in enumerate(sizes)]
    found = run_client(exported, images, model.preprocessing, (64, 96), tmp_path)
    for rows, image in zip(found, images):
        assert_same(rows, expected(model, image, (64, 96)))
    detected = model.detect(images[0])
    rows = [detected.boxes, detected.scores[:, None], detected.classes[:, None]]
    assert_same(found[0], np.concatenate(rows, axis=1))


def test_fit_image():
    upright = np.asarray(picture(120, 90, seed=3))
    images, sizes = fit_image(upright, {"min_side": 64, "max_side": 96}, (64, 96))
    assert images.shape == (1, 64, 96, 3) and sizes.tolist() == [[64, 48]]
    wanted = Image.fromarray(upright).resize((48, 64), Image.Resampling.BILINEAR)
    assert np.abs(images[0, :64, :48] - np.asarray(wanted)).mean() < 3
    assert not images[0, :, 48:].any()
    images, sizes = fit_image(upright, {}, (128, 96))
    np.testing.assert_array_equal(images[0, :120, :90], upright)
    assert sizes.tolist() == [[120, 90]] and not images[0, 120:].any()


def test_metadata(model, exported):
    import onnxruntime

    facts = json.loads(metadata_path(exported).read_text(encoding="utf-8"))
    assert facts["class_names"] == model.class_names
    assert facts["image_size"] == [64, 96]
    assert (facts["score_threshold"], facts["max_detections"]) == (0.4, 20)
    assert facts["architecture"] is None  # put together by hand
    check = facts["self_check"]
    assert check["images"] == 3 and check["regions"] > 100 and check["unpaired"] == 0
    assert check["max_box_difference"] < 1e-2 and check["max_score_difference"] < 1e-4
    session = onnxruntime.InferenceSession(exported)
    assert [(t.name, t.shape, t.type) for t in session.get_inputs()] == [
        ("images", [1, 64, 96, 3], "tensor(float)"),
        ("image_sizes", [1, 2], "tensor(int32)"),
    ]
    assert [t.name for t in session.get_outputs()] == ["boxes", "scores"]
    assert session.get_outputs()[1].shape == [1, check["regions"] // 3, 3]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in sorted(ARCHITECTURES)]
)
def test_every_architecture(name, tmp_path):
    model = with_statistics(build(name))
    images = [load_image(picture(64, 64, seed=1)), load_image(picture(96, 70, seed=2))]
    path = export_onnx(model, tmp_path / "net.onnx", samples=images)
    facts = json.loads(metadata_path(path).read_text(encoding="utf-8"))
    assert facts["architecture"] == model.architecture is not None
    selection = model.roi_heads.selection
    if selection.soft_nms is None and selection.voting_iou is None:
        size = facts["image_size"]
        for rows, image in zip(
            run_client(path, images, model.preprocessing, size, tmp_path), images
        ):
            assert_same(rows, expected(model, image, size))


def test_a_file_that_answers_otherwise_is_not_published(model, tmp_path, monkeypatch):
    def run(inputs):
        boxes = np.zeros((1, 100, 3, 4), "float32")
        return {"boxes": boxes, "scores": np.full((1, 100, 3), 0.5, "float32")}

    monkeypatch.setattr("detection.export_onnx._write", lambda model, file, size: None)
    monkeypatch.setattr("detection.export_onnx.open_file", lambda path: run)
    with pytest.raises(ValueError, match="does not answer as the model does"):
        export_onnx(model, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(64,), (64, 65), (0, 64), (64.5, 64)])
def test_sizes_that_are_none(size):
    with pytest.raises(ValueError, match=r"multiples of 32. Received: image_size="):
        check_image_size(size, {"size_divisor": 32})


def test_refused(model, tmp_path):
    assert check_image_size(None, {"max_side": 1333}) == (1344, 1344)
    assert check_image_size([800, 1344], {}) == (800, 1344)
    with pytest.raises(ValueError, match="does not say how large"):
        check_image_size(None, {})
    with pytest.raises(ValueError, match="At least one sample"):
        export_onnx(model, tmp_path / "net.onnx", samples=[])
    with pytest.raises(ValueError, match="says its format"):
        export_onnx(model, tmp_path / "net.tflite")


def test_program_of_the_documentation(model, exported, tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    (program,) = [block for block in blocks if "onnxruntime" in block]
    picture(50, 75, seed=0).save(tmp_path / "photo.png")
    (tmp_path / "photo.png").rename(tmp_path / "photo.jpg")  # no losses; Pillow looks inside
    for name in (exported, metadata_path(exported)):
        (tmp_path / name.name.replace("net", "shapes")).write_bytes(name.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    detected = model.detect(picture(50, 75, seed=0))
    lines = [line.split()[:2] for line in done.stdout.splitlines()]
    assert len(lines) == len(detected)
    # Pillow rounds resized pixels.
    near = np.abs([float(score) - other for (_, score), other in zip(lines, detected.scores)])
    assert near.max() < 0.05 and lines[0][0] == detected.names[0]
