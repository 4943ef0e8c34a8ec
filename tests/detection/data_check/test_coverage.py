"""Anchors against boxes, compared with loops over all anchors."""

import numpy as np
import pytest

from detection import load_config
from detection.anchors import AnchorGenerator
from detection.backbones import build_body
from detection.data import DetectionDataset, Record
from detection.data.dataset import Category
from detection.data.loader import PyDatasetLoader
from detection.data_check.better_anchors import better_anchors
from detection.data_check.coverage import (
    anchor_coverage,
    anchor_strides,
    best_anchors,
    boxes_in_batches,
    make_anchors,
)


def iou(a, b):
    """Overlap of two boxes, by hand."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (areas - shared)


def random_boxes(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(np.log(3), np.log([width, height]), (count, 2)))
    first = rng.uniform(0, 1, (count, 2)) * ([width, height] - sides)
    return np.concatenate([first, first + sides], axis=1)


GENERATORS = {
    "detectron2": {"offset": 0.0},
    "centred": {"offset": 0.5},
    "torchvision": {"rounded": True, "fit_strides": True},
    "several sizes": {"sizes": ((8, 13), (20, 37), (55, 90)), "aspect_ratios": (0.4, 1.0)},
}


@pytest.mark.parametrize("name", GENERATORS)
def test_best_anchors_are_those_of_a_loop_over_all(name):
    options = {
        "sizes": ((9,), (21,), (47,)),
        "aspect_ratios": (0.5, 1.0, 2.0),
        "strides": (8, 16, 32),
        **GENERATORS[name],
    }
    generator = AnchorGenerator(**options)
    height, width = 72, 104  # No multiple of the strides.
    boxes = random_boxes(60, height, width)
    maps = [(-(-height // s), -(-width // s)) for s in generator.strides]
    levels = [np.asarray(a, "float64") for a in generator(maps, (height, width))]
    got, level, ratio = best_anchors(boxes, np.tile([height, width], (60, 1)), generator)
    for row, box in enumerate(boxes):
        best = [max(iou(anchor, box) for anchor in anchors) for anchors in levels]
        assert got[row] == pytest.approx(max(best), abs=1e-6)
        assert best[level[row]] == pytest.approx(max(best), abs=1e-6)
        shapes = len(generator.aspect_ratios)
        of_ratio = [a for i, a in enumerate(levels[level[row]]) if i % shapes == ratio[row]]
        assert max(iou(a, box) for a in of_ratio) == pytest.approx(max(best), abs=1e-6)


def test_coverage_counts_what_the_loop_counts():
    config = load_config("quickstart").model
    boxes = random_boxes(200, 128, 128, seed=1)
    shapes = np.full((200, 2), 128)
    generator = make_anchors(config)
    maps = [(-(-128 // stride), -(-128 // stride)) for stride in generator.strides]
    anchors = np.concatenate([np.asarray(a, "float64") for a in generator(maps)])
    best = np.zeros(200)
    for row, box in enumerate(boxes):
        shared = np.minimum(anchors[:, 2:], box[2:]) - np.maximum(anchors[:, :2], box[:2])
        shared = np.maximum(shared, 0).prod(axis=1)
        areas = np.prod(anchors[:, 2:] - anchors[:, :2], axis=1) + np.prod(box[2:] - box[:2])
        best[row] = (shared / (areas - shared)).max()
    found = anchor_coverage(boxes, shapes, config)
    assert found["boxes"] == 200
    assert found["mean"] == pytest.approx(best.mean(), abs=1e-3)
    assert found["below_half"] == pytest.approx((best < 0.5).mean(), abs=1e-4)
    assert found["below_positive"] == pytest.approx((best < 0.7).mean(), abs=1e-4)
    counts = np.histogram(best, bins=10, range=(0, 1))[0].tolist()
    assert [row["count"] for row in found["histogram"]] == counts
    for key in ("by_level", "by_ratio", "by_size", "by_shape"):
        assert sum(row["boxes"] for row in found[key]) == 200
    low = sum(r["boxes"] * r["below_half"] for r in found["by_size"])
    assert low == pytest.approx((best < 0.5).sum(), abs=0.1)


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model.backbone.levels=[C3, C4]", "model.rpn.anchor_sizes=[[16], [32], [64]]"],
        ["model.backbone.stem=imagenet"],
        ["model.backbone.stem={kernel_size: 3, stride: 1, pool: false}"],
        ["model.backbone={depth: 18}", "model.rpn.anchor_sizes=[[8], [16], [32], [64], [96]]"],
    ],
)
def test_strides_are_those_of_the_network(settings):
    config = load_config("quickstart", settings).model
    assert anchor_strides(config) == build_body(config).anchor_strides


@pytest.mark.parametrize("architecture", ["c4", "dc5"])
def test_strides_without_pyramid(architecture):
    backbone = {"stage_blocks": [1, 1, 1, 1], "width": 8}
    model = {"architecture": architecture, "backbone": backbone}
    config = type(load_config("quickstart").model)(**model)
    assert anchor_strides(config) == build_body(config).anchor_strides == (16,)


@pytest.mark.parametrize("family", ["ResNetV2", "ResNetD", "SEResNet"])
def test_strides_of_families(family):
    settings = ["model.backbone.weights=null", f"model.backbone.family={family}"]
    assert anchor_strides(load_config("coco_r50_fpn_1x", settings).model) == (4, 8, 16, 32, 64)


def test_sizes_for_another_number_of_levels():
    config = load_config("quickstart", ["model.rpn.anchor_sizes=[[16], [32]]"]).model
    with pytest.raises(ValueError, match=r"4, 8, 16, 32 pixels.*Received"):
        make_anchors(config)


def dataset_of(boxes, size=(90, 120), crowd=()):
    records = []
    for index, rows in enumerate(boxes):
        flags = [(index, i) in crowd for i in range(len(rows))]
        records.append(Record(f"{index}.jpg", index, *size, rows, [0] * len(rows), flags))
    return DetectionDataset("made", [Category(1, "thing")], records)


@pytest.mark.parametrize(
    "settings",
    [
        {"min_sides": (60, 90), "max_side": 200, "vertical_flip": 0.5},
        {"min_sides": (64,), "max_side": 70, "scale_jitter": (0.7, 1.0), "max_buckets": 1},
        {"min_sides": (64,), "max_side": 128, "large_scale_jitter": {"size": 64}},
    ],
)
def test_boxes_are_those_of_the_first_epoch(settings, monkeypatch):
    boxes = [random_boxes(count, 90, 120, seed=count) for count in (3, 0, 5, 1, 2)]
    dataset = dataset_of(boxes, crowd={(0, 1)})
    monkeypatch.setattr(
        DetectionDataset, "read_image", lambda self, index: np.zeros((90, 120, 3), "uint8")
    )
    pipeline = type(load_config("quickstart").data.pipeline)(batch_size=2, seed=4, **settings)
    loader = PyDatasetLoader(dataset, pipeline, training=True)
    expected, seen = [], set()
    for number in range(loader.steps_per_epoch):
        x, y = loader[number]
        shape = x["images"].shape[1:3]
        for row, index in enumerate(y["index"].tolist()):
            if index in seen:
                continue  # Fills up the last batch.
            seen.add(index)
            real = (y["classes"][row] >= 0) & ~y["is_crowd"][row]
            expected += [(*shape, *box) for box in y["boxes"][row][real].tolist()]
    got, shapes = boxes_in_batches(dataset, pipeline, training=True)
    rows = np.concatenate([shapes, got], axis=1)
    assert seen == {0, 1, 2, 3, 4}
    np.testing.assert_allclose(sorted(rows.tolist()), sorted(expected), atol=1e-4)


def test_better_anchors_are_found_for_small_boxes():
    config = load_config("quickstart").model
    centres = np.random.default_rng(0).uniform(20, 100, (300, 1, 2))
    small = (centres + np.array([[-3, -3], [3, 3]])).reshape(-1, 4)
    shapes = np.full((300, 2), 128)
    found = better_anchors(small, shapes, config)
    assert found["sizes"][0][0] < 16 and found["factor"] < 1
    assert found["then"] < found["now"] == pytest.approx(1, abs=0.01)
    again = load_config("quickstart", [f"model.rpn.anchor_sizes={found['sizes']}"]).model
    share = anchor_coverage(small, shapes, again)["below_half"]
    assert share == pytest.approx(found["then"], abs=1e-4)


def test_more_ratios_are_found_for_long_boxes():
    config = load_config("quickstart").model
    x = np.random.default_rng(0).uniform(0, 28, (300, 1))
    y = np.random.default_rng(1).uniform(20, 100, (300, 1))
    long = np.concatenate([x, y, x + 100, y + 12], axis=1)
    shapes = np.full((300, 2), 128)
    found = better_anchors(long, shapes, config)
    assert min(found["ratios"]) < 0.25
    assert found["then"] < found["now"]
    kept = better_anchors(long, shapes, config, keep_ratios=True)
    assert kept is None or kept["ratios"] is None


def test_anchors_that_fit_are_left():
    config = load_config("quickstart").model
    boxes = np.array([[0, 0, 32, 32], [16, 16, 80, 80.0]])
    assert better_anchors(boxes, np.full((2, 2), 128), config) is None
    assert better_anchors(boxes[:0], np.full((0, 2), 128), config) is None
