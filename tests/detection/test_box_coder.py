"""Box deltas against hand-computed values, and their inverse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from detection.box_coder import BoxCoder


def test_encode_by_hand():
    # Anchor: centre (12, 15), 4 x 10. Box: centre (14, 10), 8 x 20.
    deltas = BoxCoder((10, 10, 5, 5)).encode([[10.0, 0, 18, 20]], [[10.0, 10, 14, 20]])
    expected = [[10 * 2 / 4, 10 * -5 / 10, 5 * math.log(2), 5 * math.log(2)]]
    np.testing.assert_allclose(deltas, expected, rtol=1e-6)


def test_decode_by_hand():
    deltas = [[5.0, -5.0, 5 * math.log(2), 5 * math.log(2)]]
    boxes = BoxCoder((10, 10, 5, 5)).decode(deltas, [[10.0, 10, 14, 20]])
    np.testing.assert_allclose(boxes, [[10, 0, 18, 20]], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    arrays("float32", (3, 2), elements=st.floats(-100, 1000, width=32)),
    arrays("float32", (3, 2), elements=st.floats(2, 500, width=32)),
    arrays("float32", (3, 2), elements=st.floats(-100, 1000, width=32)),
    arrays("float32", (3, 2), elements=st.floats(16, 500, width=32)),
)
def test_decode_inverts_encode(corner, size, anchor_corner, anchor_size):
    boxes = np.concatenate([corner, corner + size], 1)
    anchors = np.concatenate([anchor_corner, anchor_corner + anchor_size], 1)
    for weights in ((1, 1, 1, 1), (10, 10, 5, 5)):
        coder = BoxCoder(weights)
        back = coder.decode(coder.encode(boxes, anchors), anchors)
        np.testing.assert_allclose(back, boxes, atol=2e-2)


def test_large_deltas_are_clipped():
    boxes = ops.convert_to_numpy(BoxCoder().decode([[0.0, 0, 1000, 50]], [[0.0, 0, 16, 16]]))
    np.testing.assert_allclose(boxes, [[-492, -492, 508, 508]], rtol=1e-5)


def test_empty_boxes_stay_finite():
    deltas = BoxCoder().encode([[0.0, 0, 0, 0], [5, 5, 5, 9]], [[0.0, 0, 8, 8], [0, 0, 8, 8]])
    assert np.isfinite(deltas).all()


def test_class_specific_deltas_broadcast():
    rng = np.random.default_rng(0)
    deltas = rng.normal(size=(2, 3, 5, 4)).astype("float32")
    anchors = np.tile(np.array([[0, 0, 8, 8], [4, 4, 9, 20], [1, 2, 3, 4]], "float32"), (2, 1, 1))
    coder = BoxCoder()
    together = ops.convert_to_numpy(coder.decode(deltas, anchors[:, :, None, :]))
    for k in range(5):
        np.testing.assert_allclose(
            together[:, :, k], coder.decode(deltas[:, :, k], anchors), rtol=1e-5, atol=1e-5
        )


def test_half_precision_input_is_computed_in_float32():
    boxes = BoxCoder().decode(
        np.zeros((1, 4), "float16"), np.array([[1000.25, 0, 1001.5, 8]], "float32")
    )
    assert ops.dtype(boxes) == "float32"
    np.testing.assert_allclose(boxes, [[1000.25, 0, 1001.5, 8]])


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 1, 0, 1)])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match="Received: weights"):
        BoxCoder(weights)
