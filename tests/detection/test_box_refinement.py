"""Iterative box refinement on constructed predictors."""

import numpy as np
from keras import ops

from detection.box_refinement import refine_boxes

SIZES = np.array([[60, 80]], "int32")


def test_every_round_halves_the_error_of_a_shifted_region():
    truth = np.array([10.0, 10, 40, 30], "float32")
    shifted = np.array([[[18.0, 14, 48, 34], [6, 10, 36, 30]]], "float32")

    def predict(regions):
        moved = regions + 0.5 * (truth - regions)
        return moved[:, :, None], ops.ones((1, 2, 1))

    found, scores, valid = refine_boxes(predict, shifted, np.ones((1, 2), bool), SIZES, 3)
    assert tuple(found.shape) == (1, 8, 1, 4) and tuple(scores.shape) == (1, 8, 1)
    assert ops.convert_to_numpy(valid).all()
    error = np.abs(ops.convert_to_numpy(found)[0, :, 0] - truth).max(axis=-1).reshape(4, 2)
    np.testing.assert_allclose(error, np.outer([1, 0.5, 0.25, 0.125], [4, 2]), atol=1e-5)


def test_the_next_region_is_the_box_of_the_best_class():
    seen = []

    def predict(regions):
        seen.append(ops.convert_to_numpy(regions))
        moves = np.array([1.0, 10, 100], "float32")[:, None]
        scores = np.array([[[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]]], "float32")
        return regions[:, :, None] + moves, scores

    boxes = np.array([[[0.0, 0, 5, 5], [20, 20, 30, 30]]], "float32")
    found, _, _ = refine_boxes(predict, boxes, np.ones((1, 2), bool), SIZES, 1)
    assert tuple(found.shape) == (1, 4, 3, 4)
    np.testing.assert_allclose(seen[1] - seen[0], [[[10] * 4, [1] * 4]])


def test_regions_outside_the_image_are_clipped_or_dropped():
    seen = []

    def predict(regions):
        seen.append(ops.convert_to_numpy(regions))
        return ops.convert_to_tensor(regions + 50.0)[:, :, None], ops.ones((1, 3, 1))

    boxes = np.array([[[0.0, 0, 20, 20], [40, 0, 60, 5], [0, 0, 1, 1]]], "float32")
    _, _, valid = refine_boxes(predict, boxes, np.array([[True, True, False]]), SIZES, 1)
    assert seen[1].tolist() == [[[50, 50, 70, 60], [80, 50, 80, 55], [50, 50, 51, 51]]]
    assert ops.convert_to_numpy(valid).tolist() == [[True, True, False, True, False, False]]


def test_without_refinements_nothing_is_added():
    box, score = np.ones((1, 2, 3, 4), "float32"), np.ones((1, 2, 3), "float32")
    valid = np.array([[True, False]])
    found = refine_boxes(lambda regions: (box, score), box[:, :, 0], valid, SIZES, 0)
    assert all(a is b for a, b in zip(found, (box, score, valid)))
