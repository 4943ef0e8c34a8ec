"""Soft-NMS against the loop of the paper, class by class."""

import math

import numpy as np
import pytest
import tensorflow as tf

from detection.selection import DetectionSelection
from detection.soft_nms import SoftNMS


def overlap(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union else 0.0


def naive(boxes, scores, classes, usable, method, sigma, iou_threshold, score_threshold):
    """`[(score, row)]` of one image, best first: every class by itself, then all together."""
    result = []
    for k in np.unique(classes):
        left = {i: float(scores[i]) for i in np.flatnonzero(usable & (classes == k))}
        while left:
            best = max(left, key=lambda i: (left[i], -i))
            score = left.pop(best)
            if score > score_threshold:
                result.append((score, best))
            for i in left:
                iou = overlap(boxes[best], boxes[i])
                if method == "gaussian":
                    left[i] *= math.exp(-iou * iou / sigma)
                elif iou > iou_threshold:
                    left[i] *= 1 - iou
    return sorted(result, key=lambda pair: -pair[0])


def case(seed, batch=2, n=60):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (batch, n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 30, (batch, n, 2))], -1)
    return (
        boxes.astype("float32"),
        rng.uniform(0.01, 1, (batch, n)).astype("float32"),
        rng.integers(0, 3, (batch, n)).astype("int32"),
        rng.random((batch, n)) < 0.9,
    )


@pytest.mark.parametrize("method, sigma", [("linear", 0.5), ("gaussian", 0.5), ("gaussian", 0.1)])
@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_equals_the_papers_loop(method, sigma, jit_compile):
    boxes, scores, classes, valid = case(0)
    run = SoftNMS(method, sigma)
    if jit_compile is not None:
        shapes = [([None, None, 4], "float32"), ([None, None], "float32")]
        shapes += [([None, None], "int32"), ([None, None], "bool")]
        run = tf.function(
            lambda b, s, c, v: SoftNMS(method, sigma)(b, s, 40, 0.3, 0.05, c, v),
            jit_compile=jit_compile,
            input_signature=[tf.TensorSpec(*shape) for shape in shapes],
        )
        indices, found, lowered = run(boxes, scores, classes, valid)
    else:
        indices, found, lowered = run(boxes, scores, 40, 0.3, 0.05, classes, valid)
    indices, found, lowered = (np.asarray(part) for part in (indices, found, lowered))
    assert indices.shape == found.shape == lowered.shape == (2, 40)
    for i in range(2):
        expected = naive(boxes[i], scores[i], classes[i], valid[i], method, sigma, 0.3, 0.05)[:40]
        assert indices[i][found[i]].tolist() == [row for _, row in expected]
        np.testing.assert_allclose(lowered[i][found[i]], [s for s, _ in expected], rtol=1e-4)
        assert not lowered[i][~found[i]].any() and not indices[i][~found[i]].any()


def test_rows_that_are_not_finite_or_not_there():
    boxes, scores, classes, valid = case(1, 1, 8)
    boxes[0, 1], scores[0, 2], scores[0, 3] = np.nan, np.nan, -np.inf
    valid[:] = np.arange(8) < 6
    usable = valid[0] & ~np.isin(np.arange(8), [1, 2, 3])
    indices, found, _ = SoftNMS()(boxes, scores, 10, 0.5, 0.0, classes, valid)
    assert set(np.asarray(indices)[np.asarray(found)]) == set(np.flatnonzero(usable))
    nothing = np.zeros((2, 0), "float32")
    _, found, lowered = SoftNMS()(
        np.zeros((2, 0, 4)), nothing, 3, 0.5, 0.0, nothing.astype("int32"), nothing > 0
    )
    assert found.shape == (2, 3) and not np.any(found) and not np.any(lowered)


def test_selection_returns_the_lowered_scores():
    boxes = np.array([[[[0, 0, 4, 4]], [[0, 0, 4, 3]], [[9, 9, 12, 12]]]], "float32")
    scores = np.array([[[0.9], [0.8], [0.3]]], "float32")
    options = {"score_threshold": 0.1, "max_detections": 4}
    image = np.ones((1, 3), bool), np.array([[16, 16]])
    hard = DetectionSelection(**options)(boxes, scores, *image)
    np.testing.assert_allclose(np.asarray(hard["scores"])[0], [0.9, 0.3, 0, 0])
    soft = DetectionSelection(**options, soft_nms={"method": "linear"})
    found = soft(boxes, scores, *image)
    # An overlap of 3/4 leaves a quarter of 0.8, now behind the third box.
    np.testing.assert_allclose(np.asarray(found["scores"])[0], [0.9, 0.3, 0.2, 0], rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(found["boxes"])[0, 2], [0, 0, 4, 3])
    assert np.asarray(found["classes"])[0].tolist() == [0, 0, 0, -1]
    assert DetectionSelection(**soft.get_config()) == soft


@pytest.mark.parametrize("options", [{"method": "hard"}, {"sigma": 0}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match="Received: "):
        SoftNMS(**options)
