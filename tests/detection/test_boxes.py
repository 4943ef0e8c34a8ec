"""Areas, overlaps, clipping and conversions against NumPy loops, keras-cv and hand cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from detection import boxes as box_ops


def random_boxes(seed, *shape):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (*shape, 2))
    return np.concatenate([corner, corner + rng.uniform(0, 60, (*shape, 2))], -1).astype("float32")


def naive_iou(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def test_area_of_hand_cases():
    boxes = np.array([[1, 2, 4, 6], [0, 0, 0, 9], [5, 5, 3, 9]], "float32")
    np.testing.assert_array_equal(box_ops.area(boxes), [12, 0, 0])


def test_iou_equals_naive_loop():
    a, b = random_boxes(0, 7), random_boxes(1, 5)
    expected = [[naive_iou(p, q) for q in b.tolist()] for p in a.tolist()]
    np.testing.assert_allclose(box_ops.iou_matrix(a, b), expected, atol=1e-6)


def test_iou_equals_keras_cv():
    keras_cv = pytest.importorskip("keras_cv")
    a, b = random_boxes(2, 2, 9), random_boxes(3, 2, 6)
    expected = keras_cv.bounding_box.compute_iou(a, b, bounding_box_format="xyxy")
    np.testing.assert_allclose(box_ops.iou_matrix(a, b), expected, atol=1e-6)


def test_iou_broadcasts_leading_dimensions():
    a, b = random_boxes(4, 7), random_boxes(5, 3, 5)
    iou = ops.convert_to_numpy(box_ops.iou_matrix(a, b))
    assert iou.shape == (3, 7, 5)
    for image in range(3):
        expected = [[naive_iou(p, q) for q in b[image].tolist()] for p in a.tolist()]
        np.testing.assert_allclose(iou[image], expected, atol=1e-6)


def test_degenerate_boxes_have_no_overlap_and_no_nan():
    empty = np.array([[0, 0, 0, 0], [3, 3, 3, 8], [5, 5, 4, 4]], "float32")
    other = np.array([[0, 0, 10, 10], [0, 0, 0, 0]], "float32")
    np.testing.assert_array_equal(box_ops.iou_matrix(empty, other), np.zeros((3, 2)))
    np.testing.assert_array_equal(box_ops.intersection_over_area(empty, other), np.zeros((3, 2)))


@settings(max_examples=25, deadline=None)
@given(arrays("float32", (4, 4), elements=st.floats(-50, 50, width=32)))
def test_iou_is_symmetric_and_bounded(raw):
    boxes = np.concatenate(
        [np.minimum(raw[:, :2], raw[:, 2:]), np.maximum(raw[:, :2], raw[:, 2:])], 1
    )
    iou = ops.convert_to_numpy(box_ops.iou_matrix(boxes, boxes))
    np.testing.assert_allclose(iou, iou.T, atol=1e-6)
    assert iou.min() >= 0 and iou.max() <= 1 + 1e-6
    filled = ops.convert_to_numpy(box_ops.area(boxes)) > 1e-3
    np.testing.assert_allclose(np.diag(iou)[filled], 1, atol=1e-5)


def test_intersection_over_area_is_the_share_inside():
    a = np.array([[0, 0, 4, 4], [10, 10, 12, 12]], "float32")
    b = np.array([[2, 0, 100, 100], [0, 0, 1, 1]], "float32")
    np.testing.assert_allclose(box_ops.intersection_over_area(a, b), [[0.5, 1 / 16], [1, 0]])


def test_sides_give_the_same_overlap():
    a, b = random_boxes(7, 6), random_boxes(8, 6)
    expected = [naive_iou(p, q) for p, q in zip(a.tolist(), b.tolist())]
    iou = box_ops.iou_of_sides(box_ops.sides(a), box_ops.sides(b))
    np.testing.assert_allclose(iou, expected, atol=1e-6)
    # (2, 2, 6, 7) shares 3 x 4 with (3, 1, 9, 6).
    shared = box_ops.intersection_of_sides((2.0, 2.0, 6.0, 7.0), (3.0, 1.0, 9.0, 6.0))
    assert float(shared) == 12


def test_clip_uses_each_images_own_size():
    boxes = np.array([[[-5, -6, 50, 60]], [[-5, -6, 50, 60]]], "float32")
    sizes = np.array([[20, 30], [100, 40]], "int32")
    expected = [[[0, 0, 30, 20]], [[0, 0, 40, 60]]]
    np.testing.assert_array_equal(box_ops.clip_boxes(boxes, sizes), expected)


def test_corner_and_size_formats():
    np.testing.assert_array_equal(box_ops.xywh_to_xyxy([[1, 2, 3, 4]]), [[1, 2, 4, 6]])
    np.testing.assert_array_equal(box_ops.xyxy_to_xywh([[1, 2, 4, 6]]), [[1, 2, 3, 4]])
    boxes = random_boxes(6, 2, 3)
    np.testing.assert_allclose(box_ops.xywh_to_xyxy(box_ops.xyxy_to_xywh(boxes)), boxes, rtol=1e-6)
    assert box_ops.xywh_to_xyxy([]).shape == (0, 4)
    with pytest.raises(ValueError, match="Received: shape"):
        box_ops.xyxy_to_xywh([[1, 2, 3]])
