"""The exported model, run by a process that has only TensorFlow, against `model.detect`."""

import io
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

import keras_resnet
from detection import export, saving
from detection.anchors import AnchorGenerator
from detection.box_heads import ConvFCHead
from detection.box_predictor import BoxPredictor
from detection.export import export_saved_model
from detection.export_check import compare, pair
from detection.faster_rcnn import FasterRCNN
from detection.fpn import FeaturePyramid
from detection.poolers import RoIPooler
from detection.predict import Detections
from detection.roi_heads import RoIHeads
from detection.rpn import RegionProposalNetwork
from detection.selection import DetectionSelection

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)

CATEGORIES = [{"id": 3, "name": "a"}, {"id": 7, "name": "b"}, {"id": 90, "name": "c"}]
# Runs where neither Keras nor this package can be imported.
SERVER = """
import sys
for name in ("keras", "keras_resnet", "detection"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf

folder, requests, answers = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
results = {}
def keep(prefix, outputs):
    results.update({f"{prefix}/{name}": value.numpy() for name, value in outputs.items()})
requests = np.load(requests, allow_pickle=False)
files = []
while f"file{len(files)}" in requests:
    files.append(requests[f"file{len(files)}"].tobytes())
serve = signatures["serving_default"]
keep("batch", serve(image_bytes=tf.constant(files)))
keep("alone", serve(image_bytes=tf.constant(files[:1])))
keep("none", serve(image_bytes=tf.constant([], tf.string)))
keep("images", signatures["serve_images"](images=tf.constant(requests["images"])))
loaded = [name for name in sys.modules if name.split(".")[0] in ("keras_resnet", "detection")]
assert all(sys.modules[name] is None for name in loaded), loaded
np.savez(answers, **results)
"""


def make_model():
    """A small detector whose random weights find something."""
    keras.utils.set_random_seed(1)
    backbone = keras_resnet.ResNet(
        (1, 1, 1),
        block="basic",
        width=8,
        stem={"stride": 2, "pool": True},
        zero_init_residual=False,
        include_top=False,
    )
    generator = np.random.default_rng(0)
    for layer in backbone._flatten_layers():
        if isinstance(layer, keras_resnet.BatchNormalization):
            count = layer.gamma.shape[0]
            layer.beta.assign(generator.normal(0, 0.3, count))
            layer.moving_mean.assign(generator.normal(0, 0.3, count))
            layer.moving_variance.assign(generator.uniform(0.5, 2, count))
    anchors = AnchorGenerator(((8,), (16,), (32,), (64,)), (0.5, 1, 2), (4, 8, 16, 32))
    model = FasterRCNN(
        keras_resnet.feature_extractor(backbone, ("C2", "C3", "C4")),
        FeaturePyramid(("C2", "C3", "C4"), 16, name="fpn"),
        RegionProposalNetwork(anchors, pre_nms=(200, 100), post_nms=(100, 50), name="rpn"),
        RoIHeads(
            RoIPooler((4, 8, 16), canonical_size=56),
            ConvFCHead(hidden=(32,)),
            BoxPredictor(3),
            selection=DetectionSelection(score_threshold=0.4, max_detections=20),
            name="roi_heads",
        ),
        categories=CATEGORIES,
        preprocessing={"min_side": 64, "max_side": 96, "size_divisor": 32},
        name="faster_rcnn",
    )
    heads = model.roi_heads
    for layer, factor in (
        (model.rpn.objectness, 30.0),
        (model.rpn.deltas, 10.0),
        (heads.classifier, 20.0),
        (heads.regressor, 100.0),
    ):
        layer.kernel.assign(np.asarray(layer.kernel) * factor)
    return model


def picture(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype="uint8")
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return encoded(picture(70, 105, seed=5), "JPEG", exif=tags.tobytes())


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export_saved_model(model, tmp_path_factory.mktemp("served") / "shapes")


@pytest.fixture(scope="module")
def requests():
    """Files by name: three sizes, all orientations, and bytes that do not decode."""
    jpeg = encoded(picture(50, 75), "JPEG")
    return {
        "jpeg": jpeg,
        "png": encoded(picture(120, 130, seed=1), "PNG"),
        "upright jpeg": encoded(picture(200, 133, seed=2), "JPEG", quality=95),
        **{f"orientation {o}": turned(o) for o in range(1, 9)},
        "empty": b"",
        "text": b"this is no image",
        "gif": encoded(picture(50, 75), "GIF"),
        "cut jpeg": jpeg[: len(jpeg) // 2],
        "damaged jpeg": jpeg[:20] + bytes(200) + jpeg[220:],
        "cut png": encoded(picture(50, 75), "PNG")[:300],
    }


@pytest.fixture(scope="module")
def answers(exported, requests, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    files = {f"file{i}": np.frombuffer(data, "uint8") for i, data in enumerate(requests.values())}
    images = np.stack([np.asarray(picture(48, 60, seed=seed)) for seed in (3, 4)])
    np.savez(folder / "requests.npz", images=images, **files)
    done = subprocess.run(
        [sys.executable, "-c", SERVER, exported, folder / "requests.npz", folder / "answers.npz"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "answers.npz") as results:
        return dict(results)


def assert_same(answers, prefix, row, expected):
    count = answers[f"{prefix}/num_detections"][row]
    assert answers[f"{prefix}/valid"][row]
    assert count == len(expected) > 0
    scores, classes, boxes = (answers[f"{prefix}/{k}"][row] for k in ("scores", "classes", "boxes"))
    np.testing.assert_allclose(scores[:count], expected.scores, atol=1e-3)
    np.testing.assert_array_equal(classes[:count], expected.classes)
    np.testing.assert_allclose(boxes[:count], expected.boxes, atol=0.5)
    assert (classes[count:] == -1).all()
    assert not scores[count:].any() and not boxes[count:].any()


def test_files_of_three_sizes_in_one_batch_equal_detect(model, requests, answers):
    for row, name in enumerate(("jpeg", "png", "upright jpeg")):
        expected = model.detect(Image.open(io.BytesIO(requests[name])))
        assert_same(answers, "batch", row, expected)
    assert answers["batch/boxes"].dtype == np.float32
    assert answers["batch/classes"].dtype == np.int32
    assert answers["batch/num_detections"].dtype == np.int32


def test_answer_does_not_depend_on_the_rest_of_the_batch(answers):
    for name in ("boxes", "scores", "classes", "num_detections", "valid"):
        np.testing.assert_array_equal(answers[f"alone/{name}"][0], answers[f"batch/{name}"][0])


def test_all_orientations_are_applied(model, requests, answers):
    names = list(requests)
    for orientation in range(1, 9):
        name = f"orientation {orientation}"
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(requests[name])))
        expected = model.detect(np.asarray(upright))
        assert expected.size == ((105, 70) if orientation > 4 else (70, 105))
        assert_same(answers, "batch", names.index(name), expected)


def test_bytes_that_do_not_decode_give_no_detections(requests, answers):
    names = list(requests)
    for name in ("empty", "text", "gif", "cut jpeg", "damaged jpeg", "cut png"):
        row = names.index(name)
        assert not answers["batch/valid"][row], name
        assert answers["batch/num_detections"][row] == 0
        assert (answers["batch/classes"][row] == -1).all()
        assert not answers["batch/boxes"][row].any()


def test_images_of_one_size_equal_detect(model, answers):
    for row, seed in enumerate((3, 4)):
        assert_same(answers, "images", row, model.detect(picture(48, 60, seed=seed)))


def test_boxes_lie_inside_the_original_image_and_nothing_is_nan(requests, answers):
    for row, data in enumerate(requests.values()):
        boxes = answers["batch/boxes"][row]
        assert np.isfinite(boxes).all() and np.isfinite(answers["batch/scores"][row]).all()
        if answers["batch/valid"][row]:
            width, height = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).size
            assert (boxes >= 0).all() and (boxes <= [width, height, width, height]).all()


def test_an_empty_batch_gives_an_empty_answer(answers):
    assert answers["none/boxes"].shape == (0, 20, 4)
    assert answers["none/valid"].shape == (0,)


def test_metadata(exported, model):
    metadata = json.loads((exported / "assets" / "detector.json").read_text())
    assert metadata["version"] == 1
    assert metadata["categories"] == CATEGORIES
    assert metadata["class_names"] == ["a", "b", "c"]
    assert metadata["preprocessing"] == {"min_side": 64, "max_side": 96, "size_divisor": 32}
    assert metadata["norms_folded"] is True
    for reason in ("did not decode", "not finite"):
        assert reason in metadata["outputs"]["valid"]
    assert metadata["self_check"]["images"] == 3
    assert metadata["self_check"]["detections"] > 0
    assert metadata["self_check"]["max_box_difference"] <= 0.5


def test_norms_are_folded(exported):
    data = (exported / "saved_model.pb").read_bytes()
    assert b"Conv2D" in data
    assert b"FusedBatchNorm" not in data


def test_versions(model, tmp_path, monkeypatch):
    monkeypatch.setattr(
        export, "_write", lambda model, folder, constant: (folder / "x").write_text("new")
    )
    monkeypatch.setattr(export, "check_export", lambda *args: {})
    path = tmp_path / "served" / "name"
    assert export_saved_model(model, path) == path / "1"
    assert export_saved_model(model, path, version=7) == path / "7"
    assert export_saved_model(model, str(path)) == path / "8"
    (path / "8" / "x").write_text("old")
    with pytest.raises(ValueError, match="never overwritten"):
        export_saved_model(model, path, version=8)
    assert (path / "8" / "x").read_text() == "old"
    assert sorted(p.name for p in path.iterdir()) == ["1", "7", "8"]
    for wrong in (0, -1, "2", True, 1.0):
        with pytest.raises(ValueError, match="int above 0"):
            export_saved_model(model, path, version=wrong)
    with pytest.raises(ValueError, match="At least one sample"):
        export_saved_model(model, path, samples=[])
    with pytest.raises(ValueError, match="must be a folder"):
        export_saved_model(model, path / "8" / "x")


def test_an_export_that_answers_otherwise_is_not_published(model, exported, tmp_path, monkeypatch):
    # Stands for whatever may go wrong: the files are of other weights.
    monkeypatch.setattr(
        export,
        "_write",
        lambda model, folder, constant: shutil.copytree(exported, folder, dirs_exist_ok=True),
    )
    kernel = model.roi_heads.regressor.kernel
    right = np.array(kernel)
    kernel.assign(right * 1.5)
    try:
        with pytest.raises(ValueError, match="not published"):
            export_saved_model(model, tmp_path / "served", samples=[picture(64, 80)])
    finally:
        kernel.assign(right)
    assert list((tmp_path / "served").iterdir()) == []


def test_values_that_are_not_finite_are_not_an_answer(model):
    from detection.serving import serve_images

    bias = model.roi_heads.classifier.bias
    right = np.array(bias)
    bias.assign(np.full_like(right, np.nan))
    try:
        outputs = serve_images(model, np.asarray(picture(64, 80))[None])
    finally:
        bias.assign(right)
    for value in outputs.values():
        assert np.isfinite(value).all()
    assert int(outputs["num_detections"][0]) == 0


def run_script(monkeypatch, *arguments):
    scripts = Path(__file__).parents[2] / "scripts"
    monkeypatch.syspath_prepend(scripts)
    monkeypatch.setattr(sys, "argv", ["export_saved_model.py", *map(str, arguments)])
    runpy.run_path(scripts / "export_saved_model.py", run_name="__main__")


def test_script_says_where_the_export_is(model, exported, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(saving, "load", lambda source, trust, overrides: model)
    monkeypatch.setattr(
        export,
        "_write",
        lambda model, folder, constant: shutil.copytree(exported, folder, dirs_exist_ok=True),
    )
    sample, output = tmp_path / "a.png", tmp_path / "served"
    picture(64, 80).save(sample)
    arguments = ("a run", output, "--version", 4, "--samples", sample)
    run_script(monkeypatch, *arguments)
    printed = capsys.readouterr().out
    assert str(output / "4") in printed
    assert "serving_default(image_bytes: string [B]" in printed
    metadata = json.loads((output / "4" / "assets" / "detector.json").read_text())
    assert metadata["self_check"]["images"] == 1
    # The same again is refused in one line.
    with pytest.raises(SystemExit, match="2"):
        run_script(monkeypatch, *arguments)
    assert "never overwritten" in capsys.readouterr().err


def test_script_names_what_is_not_there(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        run_script(monkeypatch, tmp_path / "no_run", tmp_path / "served")
    assert "no_run" in capsys.readouterr().err
    assert not (tmp_path / "served").exists()


def found(boxes, scores, classes):
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    return Detections(boxes, np.array(scores), np.array(classes), [], [], (100, 100))


def row(found):
    return {
        "boxes": found.boxes,
        "scores": found.scores,
        "classes": found.classes,
        "num_detections": len(found),
    }


def test_compare():
    box, other = [10, 10, 20, 20], [50, 50, 60, 60]
    expected = found([box, other], [0.9, 0.8], [0, 1])

    def difference(boxes, scores, classes, max_detections=10):
        return compare(expected, row(found(boxes, scores, classes)), 0.5, max_detections)

    assert difference([box, other], [0.9, 0.8], [0, 1]) == (0.0, 0.0)
    # The order of equal scores does not matter, nor do detections at the threshold.
    assert difference([other, box], [0.8, 0.9], [1, 0]) == (0.0, 0.0)
    assert difference([box, other, box], [0.9, 0.8, 0.5005], [0, 1, 2]) == (0.0, 0.0)
    assert difference([[10, 10, 20, 23], other], [0.9, 0.8], [0, 1]) == pytest.approx((3, 0))
    assert difference([box, other], [0.9, 0.7], [0, 1]) == pytest.approx((0, 0.1))
    assert difference([box, other], [0.9, 0.8], [0, 2])[0] == np.inf
    assert difference([box], [0.9], [0])[0] == np.inf
    assert difference([], [], [])[0] == np.inf
    assert difference([box, other, box], [0.9, 0.8, 0.6], [0, 1, 2])[1] == pytest.approx(0.1)
    # Of as many as are kept, the last may change places with one left out.
    assert difference([box, box], [0.9, 0.8], [0, 2], max_detections=2) == (0.0, 0.0)


def test_pair():
    box, other = [10, 10, 20, 20], [50, 50, 60, 60]
    expected = found([box, other], [0.9, 0.8], [0, 1])

    def paired(boxes, scores, classes, max_detections=10):
        return pair(expected, row(found(boxes, scores, classes)), 0.5, max_detections, 0.1)

    same = {"boxes": [0.0, 0.0], "scores": [0.0, 0.0], "ious": [1.0, 1.0], "unmatched": 0}
    assert paired([box, other], [0.9, 0.8], [0, 1]) == same
    # Another order, and one that comes just above the threshold.
    moved = paired([other, [10, 10, 20, 15], box], [0.85, 0.7, 0.55], [1, 0, 0])
    assert moved["boxes"] == [0.0, 0.0]
    assert moved["scores"] == pytest.approx([0.35, 0.05])
    assert moved["unmatched"] == 1  # the half box, whose score is well above the threshold
    # 10 x 10 and 10 x 8 pixels of the same corner.
    cut = paired([[10, 10, 20, 18], other], [0.9, 0.8], [0, 1])
    assert cut["ious"] == pytest.approx([0.8, 1.0]) and cut["boxes"] == [2.0, 0.0]
    # Overlap below a half and another class are no counterparts.
    assert paired([[10, 10, 20, 14.9], other], [0.9, 0.8], [0, 2])["unmatched"] == 4
    assert paired([], [], [])["unmatched"] == 2
    # Full: what is lost may have been the last.
    full = paired([box, [0, 0, 9, 9]], [0.9, 0.85], [0, 2], max_detections=2)
    assert full["unmatched"] == 0


def test_bfloat16_of_a_trained_detector(tiny_run, tmp_path):
    import tensorflow as tf

    model = saving.load(tiny_run.folder)
    samples = sorted((tiny_run.val / "images").glob("*"))
    expected = model.detect(samples)
    assert sum(len(found) for found in expected) > 5
    folder = export_saved_model(model, tmp_path / "served", samples=samples, dtype="bfloat16")
    metadata = json.loads((folder / "assets" / "detector.json").read_text())
    check = metadata["self_check"]
    assert metadata["dtype"] == "bfloat16" and check["tolerance"] == 0.2
    assert check["pairs"] > 5 and check["min_iou"] >= 0.8
    assert 0 < check["max_score_difference"] <= 0.2
    assert check["mean_box_difference"] <= check["max_box_difference"] < 10
    # What is written is what is served.
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    outputs = serve(image_bytes=tf.constant([sample.read_bytes() for sample in samples]))
    assert outputs["boxes"].dtype == tf.float32 and outputs["scores"].dtype == tf.float32
    best = [found.scores[0] for found in expected if len(found)]
    rows = [i for i, found in enumerate(expected) if len(found)]
    served = outputs["scores"].numpy()[rows, 0]
    assert np.abs(served - best).max() <= check["max_score_difference"] + 1e-2
    # Backbone, pyramid and heads hold their weights in 16 bits.
    sizes = [
        sum(f.stat().st_size for f in part.rglob("variables.data*"))
        for part in (folder, export_saved_model(model, tmp_path / "served", samples=samples[:1]))
    ]
    assert sizes[0] < 0.6 * sizes[1]
    with pytest.raises(ValueError, match="greater `tolerance`"):
        export_saved_model(
            model, tmp_path / "served", samples=samples, dtype="bfloat16", tolerance=1e-6
        )


def test_options_that_contradict(model, tmp_path):
    with pytest.raises(ValueError, match="dtype='float16'"):
        export_saved_model(model, tmp_path, dtype="float16")
    with pytest.raises(ValueError, match="`tolerance` is for bfloat16"):
        export_saved_model(model, tmp_path, tolerance=0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        export_saved_model(model, tmp_path, dtype="bfloat16", tolerance=1.5)


def test_weights_as_constants(model, exported, tmp_path):
    import tensorflow as tf

    folder = export_saved_model(model, tmp_path / "served", constant=True)
    assert (folder / "saved_model.pb").stat().st_size > 4 * 0.5 * model.count_params()
    image = np.asarray(picture(64, 80))[None]
    ours, theirs = (
        tf.saved_model.load(str(path)).signatures["serve_images"](images=tf.constant(image))
        for path in (folder, exported)
    )
    np.testing.assert_allclose(ours["boxes"], theirs["boxes"], atol=1e-3)
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-5)


def test_other_backends_are_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        export_saved_model(model, tmp_path)
