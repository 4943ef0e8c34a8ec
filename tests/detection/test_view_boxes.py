"""Boxes follow what is done to their image."""

import numpy as np
from keras import ops

from detection.data.transforms import transform_boxes
from detection.view_boxes import mirror_boxes, rescale_boxes

SIZES = np.array([[40, 60], [33, 50]], "int32")


def boxes(*shape):
    corner = np.random.default_rng(0).uniform(0, 30, (*shape, 2))
    return np.concatenate([corner, corner + 7], -1).astype("float32")


def test_mirrored_as_in_training():
    given = boxes(2, 5)
    found = ops.convert_to_numpy(mirror_boxes(given, SIZES))
    for i in range(2):
        expected = transform_boxes(given[i].copy(), SIZES[i], SIZES[i], (True, False))
        np.testing.assert_allclose(found[i], expected, atol=1e-5)
    again = ops.convert_to_numpy(mirror_boxes(found, SIZES))
    np.testing.assert_allclose(again, given, atol=1e-5)


def test_resized_as_in_training_also_with_an_axis_for_classes():
    given, new = boxes(2, 5, 3), np.array([[80, 90], [20, 44]], "int32")
    found = ops.convert_to_numpy(rescale_boxes(given, SIZES, new))
    for i in range(2):
        expected = transform_boxes(given[i].reshape(-1, 4), SIZES[i], new[i], (False, False))
        np.testing.assert_allclose(found[i].reshape(-1, 4), expected, rtol=1e-5)
