"""The RPN against NumPy written naively."""

import numpy as np
import pytest
from keras import ops

from detection.anchors import AnchorGenerator
from detection.rpn import RegionProposalNetwork

SIZES = np.array([[60, 64], [40, 50]], "int32")


def make_rpn(**options):
    anchors = AnchorGenerator(sizes=((16,), (32,)), aspect_ratios=(0.5, 1, 2), strides=(8, 16))
    return RegionProposalNetwork(anchors, **options)


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    features = [
        rng.standard_normal((2, 8, 8, 6)).astype("float32"),
        rng.standard_normal((2, 4, 4, 6)).astype("float32"),
    ]
    objectness = [3 * rng.standard_normal((2, n)).astype("float32") for n in (192, 48)]
    deltas = [0.3 * rng.standard_normal((2, n, 4)).astype("float32") for n in (192, 48)]
    rpn = make_rpn()
    anchors = [ops.convert_to_numpy(a) for a in rpn.anchors_for(features)]
    return objectness, deltas, anchors


def decode(deltas, anchors):
    size = anchors[:, 2:] - anchors[:, :2]
    centre = anchors[:, :2] + size / 2 + deltas[:, :2] * size
    size = size * np.exp(np.minimum(deltas[:, 2:], np.log(1000 / 16)))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inside = np.prod(np.clip(high - low, 0, None))
    return inside / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside)


def suppress(boxes, scores, threshold):
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def test_flattening_keeps_the_order_of_the_anchors():
    rpn = make_rpn(filters=5)
    feature = np.random.default_rng(1).standard_normal((1, 4, 3, 6)).astype("float32")
    objectness, deltas = rpn([feature, feature[:, ::2, ::2]])
    hidden = rpn.convolutions[0](feature)
    scores = ops.convert_to_numpy(rpn.objectness(hidden))
    offsets = ops.convert_to_numpy(rpn.deltas(hidden))
    row, column, anchor = 2, 1, 2
    position = (row * 3 + column) * 3 + anchor
    assert objectness[0][0, position] == scores[0, row, column, anchor]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(deltas[0])[0, position],
        offsets[0, row, column, 4 * anchor : 4 * anchor + 4],
    )


@pytest.mark.parametrize("training, pre, post", [(True, 60, 30), (False, 20, 12)])
def test_proposals_are_those_of_the_naive_loop(maps, training, pre, post):
    objectness, deltas, anchors = maps
    rpn = make_rpn(pre_nms=(60, 20), post_nms=(30, 12), nms_threshold=0.6, min_size=2)
    boxes, scores, valid = (
        ops.convert_to_numpy(v)
        for v in rpn.propose(objectness, deltas, anchors, SIZES, training=training)
    )
    for image in range(2):
        expected = []
        for level_scores, level_deltas, level_anchors in zip(objectness, deltas, anchors):
            best = np.argsort(-level_scores[image], kind="stable")[:pre]
            found = decode(level_deltas[image][best], level_anchors[best])
            height, width = SIZES[image]
            found = np.clip(found, 0, [width, height, width, height])
            values = level_scores[image][best]
            large = ((found[:, 2:] - found[:, :2]) >= 2).all(axis=1)
            found, values = found[large], values[large]
            kept = suppress(found, values, 0.6)
            expected += [(values[k], found[k]) for k in kept]
        expected.sort(key=lambda pair: -pair[0])
        expected = expected[:post]
        count = len(expected)
        assert valid[image].sum() == count
        np.testing.assert_allclose(scores[image, :count], [s for s, _ in expected], rtol=1e-6)
        np.testing.assert_allclose(boxes[image, :count], [b for _, b in expected], atol=1e-3)
        assert (boxes[image, count:] == 0).all()


@pytest.mark.parametrize("normalize_by", ["fixed", "sampled"])
def test_losses_over_all_anchors_are_those_of_the_naive_loop(maps, normalize_by):
    objectness, deltas, anchors = maps
    total = 240
    rpn = make_rpn(samples=2 * total, positive_fraction=0.5, beta=0.1, normalize_by=normalize_by)
    y = {
        "boxes": np.array(
            [[[4, 4, 22, 20], [20, 10, 60, 50], [0, 0, 0, 0]], [[1, 1, 1, 1]] * 3], "float32"
        ),
        "classes": np.array([[0, 1, -1], [-1, -1, -1]], "int32"),
        "is_crowd": np.zeros((2, 3), bool),
    }
    noise = np.random.default_rng(2).random((2, total)).astype("float32")
    found = rpn.compute_losses(objectness, deltas, anchors, y, noise)
    all_anchors = np.concatenate(anchors)
    entropy, distance, counted = 0.0, 0.0, 0
    for image in range(2):
        scores = np.concatenate([level[image] for level in objectness]).astype("float64")
        offsets = np.concatenate([level[image] for level in deltas]).astype("float64")
        truth = y["boxes"][image][y["classes"][image] >= 0]
        overlaps = np.array([[iou(a, b) for b in truth] for a in all_anchors])
        for n, anchor in enumerate(all_anchors):
            if len(truth) == 0:
                label = 0
            else:
                best = overlaps[n].max()
                forced = any(overlaps[n, m] == overlaps[:, m].max() for m in range(len(truth)))
                label = 1 if best >= 0.7 or forced else 0 if best < 0.3 else -1
            if label < 0:
                continue
            counted += 1
            probability = 1 / (1 + np.exp(-scores[n]))
            entropy -= np.log(probability if label else 1 - probability)
            if label:
                box, size = truth[overlaps[n].argmax()], anchor[2:] - anchor[:2]
                centre = (box[:2] + box[2:] - anchor[:2] - anchor[2:]) / 2
                target = np.concatenate([centre / size, np.log((box[2:] - box[:2]) / size)])
                d = abs(offsets[n] - target)
                distance += np.where(d < 0.1, d * d / 0.2, d - 0.05).sum()
    divisor = counted if normalize_by == "sampled" else 2 * 2 * total
    assert float(found["rpn_objectness_loss"]) == pytest.approx(entropy / divisor, rel=1e-4)
    assert float(found["rpn_box_loss"]) == pytest.approx(distance / divisor, rel=1e-4)


def test_sampling_takes_the_number_asked_for(maps):
    objectness, deltas, anchors = maps
    y = {
        "boxes": np.tile(np.array([8, 8, 24, 24], "float32"), (2, 1, 1)),
        "classes": np.zeros((2, 1), "int32"),
        "is_crowd": np.zeros((2, 1), bool),
    }
    noise = np.random.default_rng(2).random((2, 240)).astype("float32")
    # Constant logits: the loss is log 2 for each sampled anchor.
    flat = [np.zeros_like(level) for level in objectness]
    rpn = make_rpn(samples=32, normalize_by="fixed")
    found = rpn.compute_losses(flat, deltas, anchors, y, noise)
    assert float(found["rpn_objectness_loss"]) == pytest.approx(np.log(2), rel=1e-5)


def test_convolutions_follow_each_other():
    rpn = make_rpn(filters=5, conv_depth=2)
    features = [np.ones((1, 4, 3, 6), "float32"), np.ones((1, 2, 2, 6), "float32")]
    rpn.build([feature.shape for feature in features])
    # Middle taps only: every location is two matrices and a ReLU after each.
    rng = np.random.default_rng(4)
    matrices = [rng.standard_normal(shape).astype("float32") for shape in ((6, 5), (5, 5), (5, 3))]
    for layer, matrix in zip((*rpn.convolutions, rpn.objectness), matrices):
        kernel = np.zeros(layer.kernel.shape, "float32")
        kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = matrix
        layer.kernel.assign(kernel)
    objectness, _ = rpn(features)
    hidden = np.maximum(np.maximum(np.ones(6) @ matrices[0], 0) @ matrices[1], 0)
    expected = np.tile(hidden @ matrices[2], 12)
    np.testing.assert_allclose(objectness[0][0], expected, rtol=1e-4, atol=1e-5)
    assert RegionProposalNetwork.from_config(rpn.get_config()).conv_depth == 2


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="conv_depth=0"):
        make_rpn(conv_depth=0)
    with pytest.raises(ValueError, match="normalize_by='mean'"):
        make_rpn(normalize_by="mean")
