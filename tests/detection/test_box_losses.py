"""Losses of boxes against the published formulae in NumPy, shapely-like by hand, and keras-cv."""

import math
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from detection.box_coder import BoxCoder
from detection.box_losses import BoxLoss, ciou_loss, giou_loss


def random_boxes(seed, *shape):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 30, (*shape, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 25, (*shape, 2))], -1)


def naive(a, b):
    """`(GIoU loss, CIoU loss)` of one pair, step by step from the papers."""
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    iou = shared / union
    left, top = min(a[0], b[0]), min(a[1], b[1])
    right, bottom = max(a[2], b[2]), max(a[3], b[3])
    hull = (right - left) * (bottom - top)
    giou = iou - (hull - union) / hull
    centres = ((a[0] + a[2]) / 2, (a[1] + a[3]) / 2), ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2)
    distance = math.dist(*centres) ** 2 / math.dist((left, top), (right, bottom)) ** 2
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (a, b)]
    v = 4 / math.pi**2 * (angles[1] - angles[0]) ** 2
    return 1 - giou, 1 - (iou - distance - v * v / (1 - iou + v))


def test_equal_the_papers_formulae():
    a, b = random_boxes(0, 60), random_boxes(1, 60)
    expected = np.array([naive(x, y) for x, y in zip(a, b)])
    found = [ops.convert_to_numpy(loss(a, b)) for loss in (giou_loss, ciou_loss)]
    assert (expected[:, 0] > 1).any() and (expected[:, 0] < 1).any()
    np.testing.assert_allclose(found[0], expected[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[:, 1], rtol=1e-5)
    for loss in found:
        assert loss.dtype == "float32"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="keras-cv needs TensorFlow")
def test_ciou_equals_keras_cv_for_boxes_of_one_shape():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from keras_cv.losses import CIoULoss
    # It squares the constant of the aspect ratio's term too, so only without that term.
    boxes = [random_boxes(seed, 40) for seed in (2, 3)]
    for part in boxes:
        part[:, 3] = part[:, 1] + (part[:, 2] - part[:, 0]) / 2
    a, b = (part.astype("float32") for part in boxes)
    expected = CIoULoss("xyxy", reduction="none")(b, a)
    found = ops.convert_to_numpy(ciou_loss(a, b))
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-4)


@pytest.mark.parametrize("loss", [giou_loss, ciou_loss])
def test_equal_touching_and_empty_boxes(loss):
    boxes = np.array([[0, 0, 4, 4], [2, 3, 2, 3], [0, 0, 0, 9]], "float32")
    assert float(loss(boxes[:1], boxes[:1])[0]) == pytest.approx(0, abs=1e-6)
    beside = np.array([[4, 0, 8, 4]], "float32")
    # Nothing shared: the hull is the union; the centres are 4 apart in a hull of 8 x 4.
    expected = 1.0 if loss is giou_loss else 1 + 16 / 80
    assert float(loss(boxes[:1], beside)[0]) == pytest.approx(expected, rel=1e-6)
    assert np.isfinite(ops.convert_to_numpy(loss(boxes, boxes[::-1]))).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="differentiates by TensorFlow")
@pytest.mark.parametrize("kind", ["giou", "ciou", "smooth_l1"])
def test_descent_brings_the_boxes_together(kind):
    import tensorflow as tf

    regions = random_boxes(4, 20).astype("float32")
    size = np.tile(regions[:, 2:] - regions[:, :2], 2)
    shift = np.random.default_rng(5).uniform(-0.25, 0.25, (20, 4))
    truth = (regions + shift * size).astype("float32")
    coder, loss = BoxCoder((10, 10, 5, 5)), BoxLoss(kind)

    @tf.function
    def descend(deltas):
        for _ in tf.range(300):
            with tf.GradientTape() as tape:
                tape.watch(deltas)
                value = tf.reduce_sum(loss(deltas, regions, truth, coder))
            gradient = tape.gradient(value, deltas)
            deltas -= 0.03 * tf.sign(gradient)
        return deltas

    found = coder.decode(descend(tf.zeros((20, 4))), regions).numpy()
    before = [1 - naive(a, b)[0] for a, b in zip(regions, truth)]
    after = [1 - naive(a, b)[0] for a, b in zip(found, truth)]
    assert np.mean(before) < 0.7 and np.min(after) > 0.95


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="differentiates by TensorFlow")
def test_gradients_at_empty_boxes_are_finite():
    import tensorflow as tf

    empty = tf.constant([[0.0, 0, 0, 0], [3, 3, 3, 8]])
    for kind in ("giou", "ciou"):
        deltas = tf.Variable(tf.zeros((2, 4)))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(BoxLoss(kind)(deltas, empty, empty, BoxCoder()))
        assert np.isfinite(tape.gradient(loss, deltas).numpy()).all()


def test_weight_and_kind():
    coder, boxes = BoxCoder(), random_boxes(6, 5).astype("float32")
    deltas = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    truth = random_boxes(7, 5).astype("float32")
    for kind, beta in (("smooth_l1", 0.5), ("giou", 0.0), ("ciou", 0.0)):
        once = ops.convert_to_numpy(BoxLoss(kind, beta)(deltas, boxes, truth, coder))
        thrice = BoxLoss(**BoxLoss(kind, beta, 3.0).get_config())(deltas, boxes, truth, coder)
        np.testing.assert_allclose(ops.convert_to_numpy(thrice), 3 * once, rtol=1e-6)
    for options, message in (
        ({"kind": "iou"}, "kind='iou'"),
        ({"beta": -1}, "beta=-1"),
        ({"weight": -2}, "weight=-2"),
        ({"kind": "giou", "beta": 1}, "belongs to 'smooth_l1'"),
    ):
        with pytest.raises(ValueError, match=message):
            BoxLoss(**options)
