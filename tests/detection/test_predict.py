"""Detection on images from anywhere: the same answer whatever they come from."""

import json

import numpy as np
import pytest
from PIL import Image, ImageOps

import detection
from detection.data import make_batches, numpy_batches
from detection.datasets import open_dataset
from detection.evaluate import evaluate_model
from detection.load_image import load_image
from detection.predict import detect, predict_dataset
from tests.detection.coco_folder import write_coco
from tests.detection.small_model import CATEGORIES, rectangles


@pytest.fixture(scope="module")
def model(tiny_run):
    """The trained model, keeping weak detections so that there is more to compare."""
    model = detection.load(tiny_run.folder)
    model.roi_heads.selection.score_threshold = 0.003
    return model


@pytest.fixture(scope="module")
def image():
    return rectangles(4, seed=5)[0]["images"][2]


def assert_equal(found, expected, atol=1e-3, scale=1.0):
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    np.testing.assert_allclose(found.boxes, scale * expected.boxes, atol=atol)
    np.testing.assert_array_equal(found.classes, expected.classes)


def test_every_source_gives_the_same(model, image, tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    expected = model.detect(image)
    for source in (path, str(path), Image.fromarray(image), Image.open(path)):
        assert_equal(model.detect(source), expected, atol=0)
    assert isinstance(model.detect([path]), list)
    assert model.detect([]) == []


def test_grey_images_are_grey_in_every_channel(model, image):
    grey = image[..., 0]
    expected = model.detect(np.stack([grey] * 3, axis=-1))
    assert_equal(model.detect(grey), expected, atol=0)
    assert_equal(model.detect(Image.fromarray(grey)), expected, atol=0)


def test_a_list_gives_what_its_images_give_alone(model, image):
    images = [image, image[:60], image[:, 10:70], image[5:90, :80], image[20:80, 20:]]
    together = detect(model, images)
    for found, source in zip(together, images):
        assert_equal(found, model.detect(source))
        assert found.size == source.shape[:2]
    for found, expected in zip(detect(model, images, batch_size=2), together):
        assert_equal(found, expected)


@pytest.mark.parametrize("part", [np.s_[:], np.s_[:64], np.s_[:, 8:72]])
def test_boxes_are_in_pixels_of_the_image_given(model, image, monkeypatch, part):
    # With every pixel repeated, resizing to the same side gives the same input to the network,
    # as bilinear interpolation then averages equal pixels.
    image = image[part]
    height, width = image.shape[:2]
    monkeypatch.setitem(model.preprocessing, "min_side", min(height, width))
    expected = model.detect(image)
    assert expected.size == (height, width)
    assert (expected.boxes >= 0).all()
    assert (expected.boxes <= [width, height, width, height]).all()
    found = model.detect(image.repeat(2, axis=0).repeat(2, axis=1))
    assert_equal(found, expected, scale=2)
    assert found.size == (2 * height, 2 * width)


def test_objects_are_found_where_they_are(tiny_run):
    x, y = rectangles(16)  # what it was trained on
    model = detection.load(tiny_run.folder)
    there = []
    for image, boxes, classes in zip(x["images"], y["boxes"], y["classes"]):
        found = model.detect(image.repeat(3, axis=0).repeat(3, axis=1))
        for box, index in zip(3 * boxes, classes):
            if index >= 0:
                corner = np.maximum(found.boxes[:, :2], box[:2])
                sides = np.maximum(np.minimum(found.boxes[:, 2:], box[2:]) - corner, 0)
                inside = sides.prod(axis=1)
                areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1)
                iou = inside / (areas + (box[2:] - box[:2]).prod() - inside)
                on_it = np.flatnonzero(iou > 0.5)  # best first
                name = CATEGORIES[index]["name"]
                there.append(len(on_it) > 0 and found.names[on_it[0]] == name)
    # So short a run leaves some out; boxes or names out of place would leave none in.
    assert len(there) == 26 and np.mean(there) > 0.6


@pytest.mark.parametrize("orientation", [3, 6])
def test_exif_orientation(model, image, tmp_path, orientation):
    path = tmp_path / "turned.jpg"
    tags = Image.Exif()
    tags[0x0112] = orientation
    Image.fromarray(image[:64]).save(path, quality=95, exif=tags)
    with Image.open(path) as stored:
        upright = ImageOps.exif_transpose(stored)
    assert upright.size == ((64, 96) if orientation == 6 else (96, 64))
    found = model.detect(path)
    assert found.size == upright.size[::-1]
    assert_equal(found, model.detect(np.asarray(upright)), atol=0)
    with Image.open(path) as stored:
        assert_equal(model.detect(stored), found, atol=0)


def test_score_threshold(model, image):
    everything = model.detect(image)
    limit = float(everything.scores.mean())
    found = model.detect(image, score_threshold=limit)
    expected = (everything.scores >= limit).sum()
    assert 0 < len(found) == expected < len(everything)
    np.testing.assert_array_equal(found.boxes, everything.boxes[:expected])
    nothing = model.detect(image, score_threshold=1)
    assert len(nothing) == 0 and nothing.boxes.shape == (0, 4)


@pytest.mark.parametrize("score", [50, 1.1, -0.1, float("nan")])
def test_a_score_in_percent_is_refused(model, score):
    # Before the image is looked at: one that is not there would be told otherwise.
    with pytest.raises(ValueError, match=rf"from 0 to 1; .*Received: score_threshold={score}"):
        model.detect("missing.jpg", score_threshold=score)
    assert model.detect([], score_threshold=0.5) == []


def test_names_ids_and_json(model, image):
    found = model.detect(image)
    assert found.names == [CATEGORIES[k]["name"] for k in found.classes]
    assert found.category_ids == [CATEGORIES[k]["id"] for k in found.classes]
    assert (np.diff(found.scores) <= 0).all()
    written = json.loads(json.dumps(found.to_dict()))
    assert written["size"] == {"height": 96, "width": 96}
    for row, box, score in zip(written["detections"], found.boxes, found.scores):
        np.testing.assert_allclose(row["box"], box, atol=0.005)
        assert row["score"] == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images_are_named(model, image, tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path} does not decode"):
        model.detect([image, path])


def test_files_that_cannot_be_read_are_named(model, tmp_path):
    for path in (tmp_path / "missing.jpg", tmp_path):
        with pytest.raises(ValueError, match=rf"{path} (cannot be read|is a folder)"):
            model.detect(path)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), "float32"),
        np.zeros((1, 4, 4, 3), "uint8"),
        np.zeros((4, 4, 4), "uint8"),
        np.zeros((0, 4, 3), "uint8"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array):
    with pytest.raises(ValueError, match=r"uint8 array \[H, W, 3\].*Received: shape="):
        load_image(array)


def test_a_data_set_gives_what_its_files_give(model, tiny_run):
    config = detection.load_config(tiny_run.folder / "config.yaml")
    dataset = open_dataset(config.data, "val")
    batches = make_batches(dataset, config.data.pipeline, training=False)
    results = predict_dataset(model, numpy_batches(batches), dataset)
    assert {row["image_id"] for row in results} <= set(range(201, 206))
    for image_id in range(202, 206):
        rows = [row for row in results if row["image_id"] == image_id]
        found = model.detect(tiny_run.val / "images" / f"picture_{image_id}.png")
        assert len(rows) == len(found)
        np.testing.assert_allclose([row["score"] for row in rows], found.scores, atol=1e-3)
        boxes = np.array([row["bbox"] for row in rows])
        np.testing.assert_allclose(boxes[:, :2], found.boxes[:, :2], atol=0.1)
        np.testing.assert_allclose(boxes[:, :2] + boxes[:, 2:], found.boxes[:, 2:], atol=0.1)
        assert [row["category_id"] for row in rows] == found.category_ids


def evaluation_config(tiny_run, folder):
    return detection.load_config(
        tiny_run.config,
        [
            f"data.val.images={folder / 'images'}",
            f"data.val.annotations={folder / 'annotations.json'}",
            "data.verify=off",
        ],
    )


def test_evaluation_has_the_ids_of_the_data(tiny_run, tmp_path):
    """The same images, their classes numbered otherwise: the same figures."""
    ids = [{"id": 10 * k + 2, "name": c["name"]} for k, c in enumerate(CATEGORIES)]
    folder = write_coco(tmp_path / "val", 5, seed=1, first_id=201, categories=ids)
    config = evaluation_config(tiny_run, folder)
    lines = []
    metrics = evaluate_model(
        detection.load(tiny_run.folder), config, output=tmp_path / "out", say=lines.append
    )
    expected = json.loads((tiny_run.folder / "metrics.json").read_text())
    for name in ("AP", "AP50", "mAP07"):
        assert metrics[name] == pytest.approx(expected[name], abs=0.02)
    results = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert {row["category_id"] for row in results} <= {2, 12, 22}
    assert "5 images" in lines[0]


def test_evaluation_refuses_other_classes(tiny_run, tmp_path):
    other = [{"id": 1, "name": "x"}, *CATEGORIES[1:]]
    config = evaluation_config(tiny_run, write_coco(tmp_path / "val", 2, categories=other))
    with pytest.raises(ValueError, match=r"model's classes.*'x'.*'red'"):
        evaluate_model(detection.load(tiny_run.folder), config, say=lambda line: None)


def test_evaluation_names_the_image_that_does_not_decode(tiny_run, tmp_path):
    folder = write_coco(tmp_path / "val", 5)
    path = folder / "images" / "picture_104.png"
    path.write_bytes(path.read_bytes()[:2000])
    config = evaluation_config(tiny_run, folder)
    with pytest.raises(ValueError, match=f"{path} does not decode") as caught:
        evaluate_model(detection.load(tiny_run.folder), config, say=lambda line: None)
    assert "\n" not in str(caught.value)
