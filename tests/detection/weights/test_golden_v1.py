"""Our Faster R-CNN with torchvision's weights against torchvision's own numbers."""

import numpy as np
import pytest
from keras import ops

import detection
from detection.data import prepare_image
from tests.detection.weights.torch_state import DATA, full_state, share_detected, share_found

GOLDEN = np.load(DATA / "torchvision_fasterrcnn_r50_fpn.npz")
IMAGES = [GOLDEN["image0_hwc"], GOLDEN["image1_hwc"]]
PADDED = (384, 352)


@pytest.fixture(scope="module")
def model():
    return detection.load_torchvision(full_state("fasterrcnn_resnet50_fpn"), unused_classes=True)


@pytest.fixture(scope="module")
def prepared():
    """Images resized and padded, and their scales."""
    images, sizes, scales = np.zeros((2, *PADDED, 3), "float32"), [], []
    for row, image in zip(images, IMAGES):
        resized, scale = prepare_image(image, 256, 400, rounding="floor")
        row[: resized.shape[0], : resized.shape[1]] = resized
        sizes.append(resized.shape[:2])
        scales.append(np.tile(scale[::-1], 2))
    return {"images": images, "image_sizes": np.array(sizes, "int32")}, np.array(scales)


@pytest.fixture(scope="module")
def first(model, prepared):
    """The first stage, with norms by their statistics."""
    return model.first_stage(prepared[0])


def test_constructor_arguments_of_torchvision(model):
    # As published with the weights, without norms: 41,755,286. Boxes of the background are not
    # kept, 4 rows of 1,024 weights and a bias that nothing reads.
    norms = {"gamma", "beta", "moving_mean", "moving_variance"}
    counted = [v for v in model.weights if v.name not in norms and "seed" not in v.path]
    assert sum(np.prod(v.shape) for v in counted) == 41_755_286 - 4 * 1025
    assert model.preprocessing == {
        "min_side": 800,
        "max_side": 1333,
        "size_divisor": 32,
        "rounding": "floor",
    }
    assert model.categories[0] == {"id": 1, "name": "person"}
    assert model.categories[11] == {"id": 12, "name": "N/A"}
    assert model.categories[89] == {"id": 90, "name": "toothbrush"}


def test_transform(model, prepared):
    x, _ = prepared
    np.testing.assert_array_equal(x["image_sizes"], GOLDEN["image_sizes"])
    batch = ops.convert_to_numpy(model.normalize(x["images"], x["image_sizes"]))
    assert batch.shape == (2, *PADDED, 3)
    np.testing.assert_allclose(batch[:, ::8], GOLDEN["batch_nhwc_every_8th_row"], atol=1e-3)


@pytest.mark.parametrize("level", range(5))
def test_pyramid(first, level):
    feature = ops.convert_to_numpy(first["features"][level])
    name = f"P{level + 2}"
    assert feature.shape == tuple(GOLDEN[f"{name}_shape"])
    for ours, golden in (
        (feature.mean((0, 1, 2)), GOLDEN[f"{name}_mean"]),
        (feature[:, 0, 0, :32], GOLDEN[f"{name}_corner"]),
    ):
        assert np.abs(ours - golden).max() <= 1e-4 * np.abs(golden).max()


@pytest.mark.parametrize(
    ("kind", "golden"), [("objectness", "objectness_P6_nhwc"), ("deltas", "deltas_P6_nhwc")]
)
def test_rpn_maps(first, kind, golden):
    golden = GOLDEN[golden]
    ours = ops.convert_to_numpy(first[kind][-1]).reshape(golden.shape)
    assert np.abs(ours - golden).max() <= 1e-4 * np.abs(golden).max()


def test_proposals(model, prepared, first):
    maps = first["objectness"], first["deltas"], first["anchors"]
    boxes, _, valid = (
        ops.convert_to_numpy(v) for v in model.rpn.propose(*maps, prepared[0]["image_sizes"])
    )
    for i in range(2):
        assert valid[i].sum() == len(GOLDEN[f"proposals{i}"])
        assert share_found(GOLDEN[f"proposals{i}"], boxes[i][valid[i]]) >= 0.99


def test_detections(model, prepared):
    x, scales = prepared
    outputs = {name: ops.convert_to_numpy(value) for name, value in model(x).items()}
    ids = np.array([category["id"] for category in model.categories])
    for i in range(2):
        golden = [GOLDEN[f"det{i}_{name}"] for name in ("boxes", "labels", "scores")]
        count = outputs["num_detections"][i]
        assert count == len(golden[2])
        boxes = outputs["boxes"][i, :count] / scales[i]
        labels, scores = ids[outputs["classes"][i, :count]], outputs["scores"][i, :count]
        assert share_detected(golden, boxes, labels, scores) >= 0.99


def test_losses(model, prepared, first, monkeypatch):
    # Every labelled anchor and every proposal counts.
    monkeypatch.setattr(model.rpn, "samples", 70_000)
    monkeypatch.setattr(model.roi_heads.sampling, "samples", 2048)
    monkeypatch.setattr(model.roi_heads.sampling, "positive_fraction", 1.0)
    x, scales = prepared
    boxes, classes = np.zeros((2, 4, 4), "float32"), np.full((2, 4), -1, "int32")
    for i in range(2):
        count = len(GOLDEN[f"gt_boxes{i}"])
        boxes[i, :count] = GOLDEN[f"gt_boxes{i}"] * scales[i]
        classes[i, :count] = GOLDEN[f"gt_classes{i}"] - 1  # without background
    losses = model.compute_losses(x, {"boxes": boxes, "classes": classes}, first, training=True)
    for ours, golden in (
        ("rpn_objectness_loss", "loss_objectness"),
        ("rpn_box_loss", "loss_rpn_box_reg"),
        ("classification_loss", "loss_classifier"),
        ("box_loss", "loss_box_reg"),
    ):
        assert float(losses[ours]) == pytest.approx(float(GOLDEN[golden]), rel=1e-3), ours
