"""torchvision's second detector: norms in the pyramid and in a box head of convolutions."""

import numpy as np
import pytest
from keras import ops

import detection
from detection.data import prepare_image
from tests.detection.weights.torch_state import DATA, full_state, share_detected, share_found

# What torchvision 0.28's fasterrcnn_resnet50_fpn_v2(num_classes=91, min_size=128, max_size=200,
# box_score_thresh=0.05, rpn_post_nms_top_n_test=100) makes of the image. It ran on its Python form
# of RoIAlign with the samples beyond a map's end zeroed, as its C++ form does; so run, it gives all
# detections of the other golden file.
GOLDEN = np.load(DATA / "torchvision_fasterrcnn_r50_fpn_v2.npz")


@pytest.fixture(scope="module")
def model():
    model = detection.load_torchvision(
        full_state("fasterrcnn_resnet50_fpn_v2"), unused_classes=True
    )
    model.rpn.post_nms = (2000, 100)
    return model


@pytest.fixture(scope="module")
def x():
    resized, _ = prepare_image(GOLDEN["image_hwc"], 128, 200, rounding="floor")
    image = np.zeros((1, 128, 192, 3), "float32")
    image[0, : resized.shape[0], : resized.shape[1]] = resized
    return {"images": image, "image_sizes": np.array([resized.shape[:2]], "int32")}


@pytest.fixture(scope="module")
def first(model, x):
    return model.first_stage(x)


def test_number_of_parameters(model):
    # As published with the weights: 43,712,278. Boxes of the background are not kept, 4 rows of
    # 1,024 weights and a bias that nothing reads.
    statistics = {"moving_mean", "moving_variance"}
    counted = [v for v in model.weights if v.name not in statistics and "seed" not in v.path]
    assert sum(np.prod(v.shape) for v in counted) == 43_712_278 - 4 * 1025


def test_pyramid_and_rpn_maps(first):
    for level, feature in enumerate(first["features"]):
        feature, name = ops.convert_to_numpy(feature), f"P{level + 2}"
        assert feature.shape == tuple(GOLDEN[f"{name}_shape"])
        for ours, golden in (
            (feature.mean((0, 1, 2)), GOLDEN[f"{name}_mean"]),
            (feature[:, 0, 0, :32], GOLDEN[f"{name}_corner"]),
        ):
            assert np.abs(ours - golden).max() <= 1e-4 * np.abs(golden).max()
    for kind in ("objectness", "deltas"):
        golden = GOLDEN[f"{kind}_P6_nhwc"]
        ours = ops.convert_to_numpy(first[kind][-1]).reshape(golden.shape)
        assert np.abs(ours - golden).max() <= 1e-4 * np.abs(golden).max()


def test_proposals(model, x, first):
    maps = first["objectness"], first["deltas"], first["anchors"]
    boxes, _, valid = (ops.convert_to_numpy(v) for v in model.rpn.propose(*maps, x["image_sizes"]))
    assert share_found(GOLDEN["proposals"], boxes[0][valid[0]]) >= 0.99


def test_detections(model):
    """Through `detect`, with resizing, padding and the way back to the image's pixels."""
    model.preprocessing.update({"min_side": 128, "max_side": 200})
    found = model.detect(GOLDEN["image_hwc"])
    golden = [GOLDEN[f"det_{name}"] for name in ("boxes", "labels", "scores")]
    assert len(found) == len(golden[2])
    labels = np.array(found.category_ids)
    assert share_detected(golden, found.boxes, labels, found.scores) >= 0.99
