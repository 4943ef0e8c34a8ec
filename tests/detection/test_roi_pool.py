"""RoIPool against torchvision, a naive loop and the gradient of the maximum."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from detection.poolers import RoIPooler
from detection.roi_pool import multilevel_roi_pool, roi_pool

GOLDEN = np.load(Path(__file__).parent.parent / "data" / "torchvision_ops.npz")


def naive_cells(box, stride, size, height, width):
    """For every bin the rows and columns it spans, by the paper's rounding."""
    x1, y1, x2, y2 = (int(np.sign(v) * np.floor(abs(v) / stride + 0.5)) for v in box)
    w, h = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
    for i in range(size):
        for j in range(size):
            top, bottom = y1 + i * h // size, y1 + -(-(i + 1) * h // size)
            left, right = x1 + j * w // size, x1 + -(-(j + 1) * w // size)
            rows = slice(max(top, 0), max(min(bottom, height), 0))
            yield i, j, rows, slice(max(left, 0), max(min(right, width), 0))


def naive_roi_pool(feature, box, stride, size):
    height, width, channels = feature.shape
    result = np.zeros((size, size, channels))
    for i, j, rows, columns in naive_cells(box, stride, size, height, width):
        cells = feature[rows, columns]
        if cells.size:
            result[i, j] = cells.max(axis=(0, 1))
    return result


def boxes_inside(seed, batch, count, height, width):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (batch, count, 2, 2)) * [width, height]
    boxes = np.concatenate([corners.min(axis=2), corners.max(axis=2)], -1)
    boxes[:, 0] = [0, 0, width, height]
    boxes[:, 1] = 0  # padding
    boxes[:, 2] = [-5, -7, 9, 3]
    return boxes.astype("float32")


def test_equals_torchvision():
    rois, features = GOLDEN["ra_rois"], GOLDEN["ra_features_nhwc"]
    boxes = np.stack([rois[:, 1:]] * len(features))
    pooled = ops.convert_to_numpy(roi_pool(features, boxes, 1 / float(GOLDEN["ra_stride"]), 7))
    pooled = pooled[rois[:, 0].astype(int), np.arange(len(rois))]
    np.testing.assert_array_equal(pooled, GOLDEN["roi_pool_nhwc"])


@pytest.mark.parametrize(
    "size, jit_compile", [(1, None), (7, None), (7, False), (7, True), (14, None)]
)
def test_levels_equal_naive_loop(size, jit_compile):
    rng = np.random.default_rng(size)
    maps = [rng.normal(size=(2, 64 // s, 96 // s, 3)).astype("float32") for s in (2, 4)]
    boxes = boxes_inside(0, 2, 9, 64, 96)
    pool = multilevel_roi_pool
    if jit_compile is not None:
        # Shapes are not known when the graph is made.
        shape = [None, None, None, 3]
        pool = tf.function(
            lambda maps, boxes: multilevel_roi_pool(maps, boxes, [2, 4], size, 48, 3),
            jit_compile=jit_compile,
            input_signature=[[tf.TensorSpec(shape)] * 2, tf.TensorSpec([None, None, 4])],
        )
        pooled = pool(maps, boxes).numpy()
    else:
        pooled = ops.convert_to_numpy(pool(maps, boxes, [2, 4], size, 48, 3))
    used = set()
    for b in range(2):
        for n, box in enumerate(boxes[b]):
            area = (box[2] - box[0]) * (box[3] - box[1])
            level = int(np.clip(np.floor(3 + np.log2(np.sqrt(area) / 48 + 1e-8)), 2, 3)) - 2
            used.add(level)
            expected = naive_roi_pool(maps[level][b], box, 2 ** (level + 1), size)
            np.testing.assert_array_equal(pooled[b, n], expected.astype("float32"))
    assert used == {0, 1}


def test_gradient_goes_to_the_largest_cell_of_every_bin():
    rng = np.random.default_rng(0)
    feature = rng.permutation(2 * 16 * 24 * 2).reshape(2, 16, 24, 2).astype("float32")
    boxes = boxes_inside(1, 2, 6, 64, 96)
    weights = rng.normal(size=(2, 6, 3, 3, 2)).astype("float32")

    @tf.function
    def gradients(feature, boxes):
        with tf.GradientTape() as tape:
            tape.watch([feature, boxes])
            loss = tf.reduce_sum(roi_pool(feature, boxes, 0.25, 3) * weights)
        found, of_boxes = tape.gradient(loss, [feature, boxes])
        assert of_boxes is None
        return tf.convert_to_tensor(found)

    expected = np.zeros_like(feature)
    for b in range(2):
        for n in range(6):
            for i, j, rows, columns in naive_cells(boxes[b, n], 4, 3, 16, 24):
                cells = feature[b, rows, columns]
                if not cells.size:
                    continue
                for c in range(2):
                    y, x = np.unravel_index(cells[..., c].argmax(), cells.shape[:2])
                    expected[b, rows.start + y, columns.start + x, c] += weights[b, n, i, j, c]
    found = gradients(tf.constant(feature), tf.constant(boxes))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_half_precision_and_boxes_that_are_not_finite():
    rng = np.random.default_rng(0)
    feature = tf.cast(rng.normal(size=(1, 8, 8, 2)), "bfloat16")
    boxes = np.array([[[0, 0, 60, 60], [np.nan, 0, 60, 60], [0, 0, np.inf, 9]]], "float32")
    pooled = roi_pool(feature, boxes, 1 / 8, 2)
    assert pooled.dtype == "bfloat16"
    # A maximum rounds nothing.
    expected = naive_roi_pool(tf.cast(feature, "float32").numpy()[0], boxes[0, 0], 8, 2)
    np.testing.assert_array_equal(tf.cast(pooled, "float32")[0, 0], expected)
    assert not np.any(tf.cast(pooled, "float32")[0, 1:])


def test_bad_arguments_are_refused():
    maps, boxes = [np.zeros((1, 4, 4, 1))], np.zeros((1, 1, 4))
    with pytest.raises(ValueError, match="Received: output_size=0"):
        roi_pool(maps[0], boxes, 1.0, 0)
    with pytest.raises(ValueError, match="Received: 1 feature maps"):
        multilevel_roi_pool(maps, boxes, [4, 8])
    with pytest.raises(ValueError, match="Received: method='mean'"):
        RoIPooler(method="mean")
