"""The matcher against a naive NumPy matcher, ties included."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from detection.boxes import intersection_over_area, iou_matrix
from detection.matching import match, match_boxes


def naive_match(iou, valid, positive, negative, low_quality):
    """One image, by the definition."""
    columns = [m for m in range(iou.shape[1]) if valid[m]]
    index, labels = np.zeros(len(iou), int), np.zeros(len(iou), int)
    for n in range(len(iou)):
        if not columns:
            continue
        best = max(columns, key=lambda m: (iou[n, m], -m))
        index[n] = best
        labels[n] = 1 if iou[n, best] >= positive else 0 if iou[n, best] < negative else -1
    if low_quality:
        for m in columns:
            top = max(iou[:, m])
            for n in range(len(iou)):
                if top > 0 and iou[n, m] == top:
                    labels[n] = 1
    return index, labels


@pytest.mark.parametrize("low_quality", [True, False])
@pytest.mark.parametrize("positive, negative", [(0.7, 0.3), (0.5, 0.5)])
def test_equals_naive_matcher_with_ties(positive, negative, low_quality):
    rng = np.random.default_rng(0)
    # Few distinct values make many ties.
    iou = rng.choice(np.array([0, 0.125, 0.25, 0.3, 0.5, 0.625, 0.7, 0.75], "float32"), (6, 40, 5))
    iou[3] = np.minimum(iou[3], 0.25)
    valid = rng.random((6, 5)) < 0.7
    valid[4], valid[5] = False, True
    index, labels = match(iou, valid, positive, negative, low_quality)
    for i in range(6):
        expected = naive_match(iou[i], valid[i], positive, negative, low_quality)
        np.testing.assert_array_equal(labels[i], expected[1])
        np.testing.assert_array_equal(index[i], expected[0])


def test_no_ground_truth_makes_everything_negative():
    index, labels = match(np.full((2, 3, 2), 0.9, "float32"), np.zeros((2, 2), bool))
    assert not np.any(labels) and not np.any(index)


def test_low_quality_keeps_the_candidates_own_best_box():
    # Candidate 0 is the best of box 1, yet overlaps more with box 0.
    iou = np.array([[0.6, 0.4], [0.9, 0.1]], "float32")
    index, labels = match(iou, np.array([True, True]))
    np.testing.assert_array_equal(labels, [1, 1])
    np.testing.assert_array_equal(index, [0, 0])


def test_box_without_overlap_makes_nothing_positive():
    _, labels = match(np.zeros((4, 1), "float32"), np.array([True]))
    np.testing.assert_array_equal(labels, [0, 0, 0, 0])


def grid_case(seed=0):
    """Whole-pixel boxes: overlaps repeat, so ties are common."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.arange(0, 64, 4), np.arange(0, 64, 4), indexing="ij")
    corner = np.stack([x, y], -1).reshape(-1, 2)
    candidates = np.concatenate([corner, corner + 12], -1).astype("float32")[None]
    start = rng.integers(0, 50, (3, 6, 2))
    gt = np.concatenate([start, start + rng.integers(2, 20, (3, 6, 2))], -1).astype("float32")
    gt[0, 0], gt[1, 1] = [8, 8, 20, 20], [20, 16, 32, 27]
    valid = np.array([[1, 1, 1, 1, 0, 0], [0, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)
    crowd = np.array([[0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0]], bool)
    return candidates, gt, valid, crowd


@pytest.mark.parametrize("low_quality", [True, False])
def test_match_boxes_equals_naive_matcher(low_quality):
    candidates, gt, valid, crowd = grid_case()
    index, labels = match_boxes(candidates, gt, valid, crowd, 0.7, 0.3, low_quality)
    for i in range(3):
        iou = ops.convert_to_numpy(iou_matrix(candidates[0], gt[i]))
        expected_index, expected = naive_match(iou, valid[i] & ~crowd[i], 0.7, 0.3, low_quality)
        inside = ops.convert_to_numpy(intersection_over_area(candidates[0], gt[i]))
        hidden = (inside[:, valid[i] & crowd[i]] >= 0.5).any(-1)
        expected[hidden & (expected == 0)] = -1
        np.testing.assert_array_equal(labels[i], expected)
        np.testing.assert_array_equal(index[i], expected_index)
    assert (np.asarray(labels) == -1).any() and (np.asarray(labels) == 1).any()


def test_match_boxes_accepts_candidates_of_each_image_and_no_crowd():
    candidates, gt, valid, _ = grid_case(1)
    own = np.concatenate([candidates, candidates + 2, candidates - 3])
    index, labels = match_boxes(own, gt, valid, positive=0.5, negative=0.5)
    for i in range(3):
        iou = ops.convert_to_numpy(iou_matrix(own[i], gt[i]))
        expected_index, expected = naive_match(iou, valid[i], 0.5, 0.5, True)
        np.testing.assert_array_equal(labels[i], expected)
        np.testing.assert_array_equal(index[i], expected_index)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_dynamic_shapes_in_a_graph(jit_compile):
    candidates, gt, valid, crowd = grid_case()

    @tf.function(
        jit_compile=jit_compile,
        input_signature=[
            tf.TensorSpec([1, None, 4], "float32"),
            tf.TensorSpec([None, None, 4], "float32"),
            tf.TensorSpec([None, None], "bool"),
            tf.TensorSpec([None, None], "bool"),
        ],
    )
    def both(candidates, gt, valid, crowd):
        iou = iou_matrix(candidates, gt)
        return match(iou, valid), match_boxes(candidates, gt, valid, crowd)

    graph = both(candidates, gt, valid, crowd)
    eager = match(iou_matrix(candidates, gt), valid), match_boxes(candidates, gt, valid, crowd)
    for ours, expected in zip(tf.nest.flatten(graph), tf.nest.flatten(eager)):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("positive, negative", [(0.3, 0.7), (0.5, 0.0), (1.5, 0.3)])
def test_bad_thresholds_are_refused(positive, negative):
    with pytest.raises(ValueError, match="Received: positive"):
        match(np.zeros((1, 1), "float32"), np.array([True]), positive, negative)
