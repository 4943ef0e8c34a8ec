"""MixUp and CutMix against keras-cv and naive loops; lighting and erasing against formulas."""

import keras
import numpy as np
import pytest

from keras_resnet.data.erasing import erase, erasing_boxes
from keras_resnet.data.lighting import lighting_shifts, shift_colours
from keras_resnet.data.mixing import Mixing, draw_mixing, mix

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), "uint8")
LABELS = np.array([0, 3, 3, 1, 2, 0])


def one_hot(labels):
    return np.eye(4, dtype="float32")[labels]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="keras-cv needs TensorFlow")
def test_mixup_is_that_of_keras_cv():
    import keras_cv
    import tensorflow as tf

    layer = keras_cv.layers.MixUp(alpha=0.3)
    images, shares, partner = layer._mixup(tf.constant(IMAGES, "float32"))
    labels = layer._update_labels(tf.constant(one_hot(LABELS)), shares, partner).numpy()
    # keras-cv draws a share for each image, as the paper draws one for the batch.
    for row, share in enumerate(shares.numpy()):
        x, y = mix(IMAGES, LABELS, 4, Mixing(partner.numpy(), float(share), None))
        np.testing.assert_allclose(x[row], images[row], atol=1e-3)
        np.testing.assert_allclose(y[row], labels[row], atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="keras-cv needs TensorFlow")
def test_cutmix_is_that_of_keras_cv():
    import keras_cv
    import tensorflow as tf

    layer = keras_cv.layers.CutMix(alpha=1.0)
    checked = 0
    for _ in range(4):
        images, _, partner, y, x, width, height = (
            v.numpy() for v in layer._cutmix(tf.constant(IMAGES, "float32"))
        )
        for row in range(6):
            top, left = max(y[row] - height[row] // 2, 0), max(x[row] - width[row] // 2, 0)
            bottom, right = min(top + height[row], 12), min(left + width[row], 12)
            whole = y[row] - height[row] // 2 == top and x[row] - width[row] // 2 == left
            if not (whole and bottom - top == height[row] and right - left == width[row]):
                continue  # At the border keras-cv counts what it did not replace.
            share = 1 - height[row] * width[row] / 144
            mixing = Mixing(partner, share, (top, left, bottom, right))
            np.testing.assert_array_equal(mix(IMAGES, LABELS, 4, mixing)[0][row], images[row])
            checked += 1
    assert checked > 3


def test_labels_are_shares_of_the_pixels():
    partner = np.array([1, 2, 0, 3, 5, 4])
    mixing = Mixing(partner, 1 - 20 / 144, (3, 8, 8, 12))
    x, y = mix(IMAGES, LABELS, 4, mixing)
    for row in range(6):
        inside = np.zeros((12, 12), bool)
        inside[3:8, 8:12] = True
        expected = np.where(inside[..., None], IMAGES[partner[row]], IMAGES[row])
        np.testing.assert_array_equal(x[row], expected)
        share = inside.mean() * one_hot(LABELS[partner[row]])
        share += (1 - inside.mean()) * one_hot(LABELS[row])
        np.testing.assert_allclose(y[row], share, atol=1e-6)
    assert x.dtype == y.dtype == np.float32


def test_drawn_mixing():
    rng = np.random.default_rng(1)
    drawn = [draw_mixing(rng, 8, 32, mixup=0.2, cutmix=1.0) for _ in range(4000)]
    cuts = [m for m in drawn if m.box is not None]
    assert 0.46 < len(cuts) / 4000 < 0.54
    shares = np.array([m.share for m in drawn if m.box is None])
    # Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)).
    np.testing.assert_allclose([shares.mean(), shares.var()], [0.5, 1 / 5.6], rtol=0.06)
    for m in cuts:
        top, left, bottom, right = m.box
        assert 0 <= top <= bottom <= 32 and 0 <= left <= right <= 32
        np.testing.assert_allclose(m.share, 1 - (bottom - top) * (right - left) / 1024)
    # Every border is reached.
    boxes = np.array([m.box for m in cuts])
    assert (boxes.min(axis=0)[:2] == 0).all() and (boxes.max(axis=0)[2:] == 32).all()
    for m in drawn[:50]:
        assert sorted(m.partner) == list(range(8))
    assert draw_mixing(rng, 8, 32, mixup=0.2, cutmix=0).box is None
    assert all(draw_mixing(rng, 8, 32, mixup=0, cutmix=1).box is not None for _ in range(20))


def test_erasing_boxes():
    rng = np.random.default_rng(2)
    boxes = erasing_boxes(rng.random((5000, 10, 2)), rng.random((5000, 2)), 64)
    top, left, height, width = boxes.T
    assert (height > 0).all() and (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 64).all() and (left + width <= 64).all()
    assert (top + height == 64).any() and (left + width == 64).any()
    share, shape = height * width / 64**2, height / width
    # Rounding of the sides moves both a little.
    assert 0.015 < share.min() < 0.03 and 0.32 < share.max() < 0.35
    assert 0.27 < shape.min() < 0.34 and 3.0 < shape.max() < 3.7
    np.testing.assert_allclose(share.mean(), (0.02 + 0.33) / 2, rtol=0.05)
    # No attempt fits: an area of a third, three times as high as wide, is too high.
    tall = np.array([[[1.0, 1.0]] * 10])
    assert erasing_boxes(tall, np.zeros((1, 2)), 64).tolist() == [[0, 0, 0, 0]]


def test_erase():
    image = IMAGES[0].copy()
    found = erase(image, (2, 3, 4, 5), (7, 8, 9))
    for y in range(12):
        for x in range(12):
            inside = 2 <= y < 6 and 3 <= x < 8
            assert found[y, x].tolist() == ([7, 8, 9] if inside else IMAGES[0][y, x].tolist())
    np.testing.assert_array_equal(image, IMAGES[0])
    np.testing.assert_array_equal(erase(image, (0, 0, 0, 0), (7, 8, 9)), image)


def test_lighting():
    # The published components, on the scale 0..255 as some implementations list them.
    rows = np.array(
        [
            [-144.7125, 183.396, 102.2295],
            [-148.104, -1.1475, -207.57],
            [-148.818, -177.174, 107.1765],
        ]
    )
    draws = np.random.default_rng(3).normal(0, 0.1, (5, 3))
    for drawn, shift in zip(draws, lighting_shifts(draws)):
        expected = [
            sum(rows[c, i] * drawn[i] * (0.2175, 0.0188, 0.0045)[i] for i in range(3))
            for c in range(3)
        ]
        np.testing.assert_allclose(shift, expected, rtol=1e-5)
    shift = np.array([30.4, -12.6, 0.2], "float32")
    expected = np.clip(np.rint(IMAGES[0].astype("float64") + shift), 0, 255)
    np.testing.assert_array_equal(shift_colours(IMAGES[0], shift), expected)
