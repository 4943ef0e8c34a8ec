"""Box voting against a naive loop."""

import keras
import numpy as np
import pytest
from keras import ops

from detection.box_voting import box_voting
from tests.detection.test_rpn import iou


def vote(boxes, classes, candidates, scores, iou_threshold):
    """One image, one box after the other."""
    voted = boxes.astype("float64")
    for d, k in enumerate(classes):
        total, weighted = 0.0, np.zeros(4)
        for n in range(len(candidates)):
            candidate = candidates[n, k if candidates.shape[1] > 1 else 0]
            if k >= 0 and iou(boxes[d], candidate) >= iou_threshold:
                total += scores[n, k]
                weighted += scores[n, k] * candidate
        if total > 0:
            voted[d] = weighted / total
    return voted


def case(seed, per_class):
    """Clusters of candidates of three classes around six places, and boxes kept of them."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(20, 80, (2, 6, 1, 1, 2))
    corner = centre - rng.uniform(8, 20, (2, 6, 1, 1, 2)) + rng.normal(0, 2, (2, 6, 7, 3, 2))
    other = centre + rng.uniform(8, 20, (2, 6, 1, 1, 2)) + rng.normal(0, 2, (2, 6, 7, 3, 2))
    candidates = np.concatenate([corner, other], -1).reshape(2, 42, 3, 4).astype("float32")
    scores = rng.random((2, 42, 3)).astype("float32")
    scores[rng.random(scores.shape) < 0.3] = 0
    classes = rng.integers(0, 3, (2, 9)).astype("int32")
    classes[0, 5:] = -1
    if not per_class:
        candidates = candidates[:, :, :1]
    rows = rng.integers(0, 42, (2, 9))
    columns = np.maximum(classes, 0) if per_class else np.zeros_like(classes)
    boxes = np.stack([candidates[i, rows[i], columns[i]] for i in range(2)])
    boxes[classes < 0] = 0
    return boxes, classes, candidates, scores


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("iou_threshold", [0.5, 0.8])
def test_equals_the_naive_loop(per_class, iou_threshold):
    data = case(0, per_class)
    found = ops.convert_to_numpy(box_voting(*data, iou_threshold))
    expected = np.stack([vote(*(part[i] for part in data), iou_threshold) for i in range(2)])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    moved = np.abs(found - data[0]).max(axis=-1)
    assert (moved[data[1] >= 0] > 0.1).sum() > 5
    assert (found[data[1] < 0] == 0).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compiles by TensorFlow")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph_of_any_batch_size(jit_compile):
    import tensorflow as tf

    data = case(1, per_class=True)
    specs = [tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in data]
    compiled = tf.function(box_voting, input_signature=specs, jit_compile=jit_compile)
    expected = ops.convert_to_numpy(box_voting(*data))
    np.testing.assert_allclose(compiled(*data).numpy(), expected, rtol=1e-5)


def test_a_box_without_votes_stays():
    box = np.array([[[2.0, 2, 8, 9]]], "float32")
    far = np.array([[[[20.0, 20, 30, 30]], [[2, 2, 8, 9]]]], "float32")
    for scores in ([[[0.9], [0.0]]], [[[0.0], [0.0]]]):
        found = box_voting(box, np.array([[0]]), far, np.array(scores))
        np.testing.assert_array_equal(ops.convert_to_numpy(found), box)


def test_candidates_that_are_not_finite_have_no_vote():
    box = np.array([[[0.0, 0, 10, 10]]])
    broken = np.array([[[[0.0, 0, 10, 10]], [[0, 0, np.nan, 10]], [[0, 0, 10, np.inf]]]])
    found = box_voting(box, np.array([[0]]), broken, np.array([[[0.5], [0.9], [0.9]]]))
    assert ops.convert_to_numpy(found).tolist() == box.tolist()


def test_overlap_of_just_the_threshold_votes():
    box = np.array([[[0.0, 0, 10, 10]]])
    half = np.array([[[[0.0, 0, 10, 10]], [[0, 0, 10, 5]]]])
    found = box_voting(box, np.array([[0]]), half, np.array([[[0.5], [0.5]]]), 0.5)
    assert ops.convert_to_numpy(found).tolist() == [[[0, 0, 10, 7.5]]]


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_thresholds_that_make_no_sense(threshold):
    with pytest.raises(ValueError, match=f"iou_threshold={threshold}"):
        box_voting(*case(0, True), iou_threshold=threshold)
