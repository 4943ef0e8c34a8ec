"""The sample set: deterministic, atomic, and its boxes are where the pixels are."""

import json
import os

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools.coco import COCO

from detection.data import DataError, load_shapes, make_shapes, verify_images
from detection.data.shape_drawing import SHAPE_CLASSES, _mask, clip_polygon, draw_scene, outline

_FEW = {"num_train": 12, "num_val": 4, "image_size": 96}


def _files(folder):
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                found[os.path.relpath(os.path.join(parent, name), folder)] = file.read()
    return found


def test_same_seed_same_files(tmp_path):
    first = _files(make_shapes(tmp_path / "a", **_FEW))
    assert first == _files(make_shapes(tmp_path / "b", **_FEW))
    assert len(first) == 12 + 4 + 3
    other = _files(make_shapes(tmp_path / "c", **_FEW, seed=1))
    assert other["train/000001.jpg"] != first["train/000001.jpg"]
    # Training and validation images are not the same images.
    assert first["train/000001.jpg"] != first["val/000001.jpg"]
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]  # nothing left aside


def test_is_ordinary_coco(tmp_path, capsys):
    dataset = load_shapes(tmp_path / "s", "train", **_FEW)
    assert len(dataset) == 12 and dataset.class_names == SHAPE_CLASSES
    assert len(dataset.problems) == 0 and len(verify_images(dataset, decode=True)) == 0
    reference = COCO(str(tmp_path / "s" / "annotations" / "instances_train.json"))
    assert len(reference.anns) == sum(len(record.boxes) for record in dataset.records) > 12
    assert len(load_shapes(tmp_path / "s", "val", **_FEW)) == 4


def test_is_reused_and_never_overwritten(tmp_path):
    folder = make_shapes(tmp_path / "s", **_FEW)
    before = os.stat(os.path.join(folder, "train")).st_mtime_ns
    make_shapes(folder, **_FEW)
    assert os.stat(os.path.join(folder, "train")).st_mtime_ns == before
    with pytest.raises(DataError, match=r"other parameters.*'seed': 0.*'seed': 5"):
        make_shapes(folder, **_FEW, seed=5)
    (tmp_path / "mine").mkdir()
    make_shapes(tmp_path / "mine", **_FEW)  # an empty folder may be filled
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="not a sample set"):
        make_shapes(tmp_path / "other", **_FEW)
    assert os.listdir(tmp_path / "other") == ["thesis.txt"]
    (tmp_path / "s" / "parameters.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        make_shapes(folder, **_FEW)


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("detection.data.shapes._write_json", fail)
    with pytest.raises(KeyboardInterrupt):
        make_shapes(tmp_path / "s", **_FEW)
    assert os.listdir(tmp_path) == []


def test_boxes_are_the_extents_of_what_is_drawn():
    """Counted in the drawn masks, independently of the geometry that gives the boxes."""
    rng = np.random.default_rng(0)
    for class_index in range(len(SHAPE_CLASSES)):
        for _ in range(8):
            points = outline(class_index, rng.uniform(0, 6)) * rng.uniform(8, 30)
            points = points + rng.uniform(5, 91, 2)
            mask = _mask(points, 96)[..., 0] > 0.02
            rows, columns = np.nonzero(mask)
            inside = clip_polygon(points, 96)
            box = [*inside.min(axis=0), *inside.max(axis=0)]
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(box, found, atol=1.3)
            assert min(box) >= 0 and max(box) <= 96


def test_clipping_by_hand():
    diamond = np.array([[-2.0, 4], [2, 0], [6, 4], [2, 8]])
    # Its left corner is cut off at x = 0, where the edges pass y = 2 and y = 6.
    clipped = clip_polygon(diamond, 10)
    assert {tuple(point) for point in clipped.tolist()} == {(0, 2), (2, 0), (6, 4), (2, 8), (0, 6)}


def test_objects_are_varied_and_visible():
    rng = np.random.default_rng(1)
    scenes = [draw_scene(rng, 128) for _ in range(120)]
    boxes = np.array([box for scene in scenes for box in scene[1]])
    classes = [c for scene in scenes for c in scene[2]]
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert 8 <= sides.min() < 18 and 60 < sides.max() <= 71
    assert min(np.bincount(classes, minlength=5)) > 40
    counts = [len(scene[1]) for scene in scenes]
    assert min(counts) == 0 and max(counts) == 6
    # The pixels inside a box differ from those of the image without it.
    for pixels, scene_boxes, _ in scenes[:20]:
        assert pixels.shape == (128, 128, 3) and pixels.dtype == np.uint8
        grey = np.asarray(Image.fromarray(pixels).convert("L"), "float32")
        for x1, y1, x2, y2 in scene_boxes:
            assert grey[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].std() > 2


def test_classes_look_different():
    """Overlap of two upright outlines of different classes, drawn by Pillow alone."""
    masks = []
    for class_index in range(len(SHAPE_CLASSES)):
        image = Image.new("1", (100, 100))
        points = outline(class_index, 0.0) * 40 + 50
        ImageDraw.Draw(image).polygon(points.ravel().tolist(), fill=1)
        masks.append(np.asarray(image))
    for i in range(len(masks)):
        for j in range(i):
            assert (masks[i] & masks[j]).sum() / (masks[i] | masks[j]).sum() < 0.75


@pytest.mark.parametrize("wrong", [{"num_train": 0}, {"image_size": 16}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="Received: "):
        make_shapes(tmp_path / "s", **{**_FEW, **wrong})
    with pytest.raises(ValueError, match="Received: split="):
        load_shapes(tmp_path / "s", "test")


def test_parameters_are_written(tmp_path):
    folder = make_shapes(tmp_path / "s", **_FEW)
    with open(os.path.join(folder, "parameters.json"), encoding="utf-8") as file:
        assert json.load(file)["num_train"] == 12
