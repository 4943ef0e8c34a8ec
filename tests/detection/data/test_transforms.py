"""Resizing against tf.image.resize; boxes found again by their pixels."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from detection.data.transforms import (
    crop_boxes,
    flip_into,
    jitter_colour,
    prepare_image,
    resize_bilinear,
    resize_rounded,
    resized_size,
    to_dtype,
    transform_boxes,
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 640), (800, 1067)),  # 640 * 800 / 480 = 1066.7
        ((640, 480), (1067, 800)),
        ((300, 900), (444, 1333)),  # bound by the longer side: 300 * 1333 / 900 = 444.3
        ((800, 1333), (800, 1333)),
        ((1, 5000), (1, 1333)),
    ],
)
def test_resized_size_by_hand(size, expected):
    assert resized_size(*size, 800, 1333) == expected
    heights, widths = resized_size(np.array([size[0]]), np.array([size[1]]), 800, 1333)
    assert (heights[0], widths[0]) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    # What torchvision 0.28 makes of these sides; 334 * (800 / 334) is a little less than 800.
    [
        ((480, 640), (800, 1066)),
        ((500, 375), (1066, 800)),
        ((334, 500), (799, 1197)),
        ((300, 900), (444, 1333)),
        ((1080, 1920), (749, 1333)),
    ],
)
def test_resized_size_cut_off_as_torchvision_does(size, expected):
    assert resized_size(*size, 800, 1333, "floor") == expected
    heights, widths = resized_size(np.array([size[0]]), np.array([size[1]]), 800, 1333, "floor")
    assert (heights[0], widths[0]) == expected


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(1, 90)] * 4), st.integers(1, 4))
def test_resize_equals_tensorflow(sizes, channels):
    height, width, new_height, new_width = sizes
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), "uint8")
    expected = tf.image.resize(image, (new_height, new_width)).numpy()
    resized = resize_bilinear(image, new_height, new_width)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 90)] * 4))
def test_resize_to_bytes_rounds_what_tensorflow_gives(sizes):
    height, width, new_height, new_width = sizes
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), "uint8")
    image.flags.writeable = False
    expected = tf.image.resize(image, (new_height, new_width)).numpy()
    resized = resize_rounded(image, new_height, new_width)
    assert resized.dtype == np.uint8
    assert np.abs(resized - np.rint(expected)).max() <= 1
    # The same into a part of a larger array, and nothing beside it.
    canvas = np.full((new_height + 2, new_width + 3, 3), 7, "uint8")
    resize_rounded(image, new_height, new_width, canvas[:new_height, :new_width])
    np.testing.assert_array_equal(canvas[:new_height, :new_width], resized)
    canvas[:new_height, :new_width] = 7
    assert (canvas == 7).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
def test_mirrored_into_a_part_of_a_larger_array(dtype, flips):
    image = np.arange(4 * 5 * 3).reshape(4, 5, 3).astype(dtype)[:, 1:]
    canvas = np.full((6, 7, 3), 200, dtype)
    flip_into(image, flips, canvas[:4, :4])
    expected = image[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
    np.testing.assert_array_equal(canvas[:4, :4], expected)
    assert (canvas[4:] == 200).all() and (canvas[:, 4:] == 200).all()


@pytest.mark.parametrize("size", [(333, 500), (427, 640), (1200, 1599)])
def test_resize_of_usual_sizes_equals_tensorflow(size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), "uint8")
    prepared, scale = prepare_image(image, 320, 420)
    expected = tf.image.resize(image, prepared.shape[:2]).numpy()
    np.testing.assert_allclose(prepared, expected, atol=1e-3)
    np.testing.assert_allclose(scale * size, prepared.shape[:2], rtol=1e-6)


def test_resize_does_not_change_its_input():
    image = np.random.default_rng(2).uniform(0, 255, (7, 9, 3)).astype("float32")
    kept = image.copy()
    resize_bilinear(image, 7, 9)[:] = 0
    resize_bilinear(image, 14, 4)[:] = 0
    np.testing.assert_array_equal(image, kept)


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("size", [(60, 100), (90, 150), (45, 80)])
def test_a_rectangle_is_found_where_its_box_says(flips, size):
    image = np.zeros((60, 100, 3), "uint8")
    image[12:30, 20:70] = 255
    box = np.array([[20, 12, 70, 30]], "float32")
    moved = np.empty((*size, 3), "float32")
    flip_into(resize_bilinear(image, *size), flips, moved)
    ((x1, y1, x2, y2),) = transform_boxes(box, (60, 100), size, flips)
    # The half-covered border of the rectangle is where its brightness crosses one half.
    profile_x, profile_y = moved[..., 0].max(axis=0) / 255, moved[..., 0].max(axis=1) / 255
    np.testing.assert_allclose(profile_x.sum(), x2 - x1, atol=0.6)
    np.testing.assert_allclose(profile_y.sum(), y2 - y1, atol=0.6)
    for profile, low, high in ((profile_x, x1, x2), (profile_y, y1, y2)):
        bright = np.flatnonzero(profile >= 0.5)
        assert abs(bright[0] - low) <= 1 and abs(bright[-1] + 1 - high) <= 1
    np.testing.assert_array_equal(box, [[20, 12, 70, 30]])  # the input is left as it was


@pytest.mark.parametrize(
    ("position", "enhance"),
    [(0, ImageEnhance.Brightness), (1, ImageEnhance.Contrast), (2, ImageEnhance.Color)],
)
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
def test_colours_change_as_in_pillow(position, enhance, factor):
    image = np.random.default_rng(3).integers(0, 256, (20, 30, 3), "uint8")
    factors = np.ones(3)
    factors[position] = factor
    changed = jitter_colour(image.astype("float32"), factors)
    expected = np.asarray(enhance(Image.fromarray(image)).enhance(factor), "float32")
    # Pillow rounds the grey values it starts from, and truncates its result.
    assert np.abs(changed - expected).max() < 2
    assert changed.min() >= 0 and changed.max() <= 255


def test_boxes_in_a_window_by_hand():
    boxes = np.array([
        [10, 20, 30, 40],  # inside
        [0, 0, 15, 25],  # over the corner
        [0, 0, 12, 90],  # 2 pixels of it are left
        [60, 20, 70, 30],  # outside
        [0, 0, 200, 100],  # around
    ], "float32")  # fmt: skip
    expected = [[0, 10, 20, 30], [0, 0, 5, 15], [0, 0, 2, 40], [0, 0, 40, 40]]
    moved, kept = crop_boxes(boxes, offset=(10, 10), size=(40, 40), min_side=0)
    np.testing.assert_array_equal(moved, expected)
    assert kept.tolist() == [0, 1, 2, 4]
    moved, kept = crop_boxes(boxes, offset=(10, 10), size=(40, 40), min_side=2.5)
    np.testing.assert_array_equal(moved, [expected[0], expected[1], expected[3]])
    assert kept.tolist() == [0, 1, 4]


def test_rounding():
    image = np.full((2, 3, 3), 7.5, "float32")
    rounded = to_dtype(image, "uint8")
    assert rounded.dtype == np.uint8 and (rounded == 8).all()
