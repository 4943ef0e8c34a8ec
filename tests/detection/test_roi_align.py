"""RoIAlign against torchvision, a naive loop and finite differences, on every path."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from detection import _tensorflow
from detection.roi_align import multilevel_roi_align, roi_align

GOLDEN = np.load(Path(__file__).parent.parent / "data" / "torchvision_ops.npz")
STRIDES = [4, 8, 16]


@pytest.fixture(params=["kernel", "ops"])
def path(request, monkeypatch):
    """Runs a test with the TensorFlow kernel and with the pure operations."""
    if request.param == "ops":
        monkeypatch.setattr(_tensorflow, "kernels_available", lambda: False)
    else:
        assert _tensorflow.kernels_available()
    return request.param


def naive_roi_align(feature, box, stride, size, ratio, aligned):
    """One box on one map `[H, W, C]`, sample by sample, in float64.

    `ratio` is the number of samples along a side of a bin, or a pair for rows and columns.
    """
    height, width, channels = feature.shape
    rows, columns = np.broadcast_to(ratio, 2)
    start = np.asarray(box, "float64") / stride - (0.5 if aligned else 0)
    w, h = start[2] - start[0], start[3] - start[1]
    if not aligned:
        w, h = max(w, 1), max(h, 1)
    result = np.zeros((size, size, channels))
    for i in range(size * rows):
        for j in range(size * columns):
            y = start[1] + (i + 0.5) * h / (size * rows)
            x = start[0] + (j + 0.5) * w / (size * columns)
            if y < -1 or y > height or x < -1 or x > width:
                continue
            y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
            for yy in (int(y), int(y) + 1):
                for xx in (int(x), int(x) + 1):
                    weight = (1 - abs(y - yy)) * (1 - abs(x - xx))
                    if weight > 0:
                        share = weight / (rows * columns)
                        result[i // rows, j // columns] += share * feature[yy, xx]
    return result


def pyramid(seed=0, batch=2, channels=3, height=64, width=96):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(batch, height // s, width // s, channels)).astype("float32")
        for s in STRIDES
    ]


def boxes_of_all_sizes(seed=1, batch=2, n=12, height=64, width=96):
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, 1, (batch, n, 2)) * [width, height]
    half = np.exp(rng.uniform(np.log(1), np.log(60), (batch, n, 2)))
    boxes = np.concatenate([centre - half, centre + half], -1).astype("float32")
    boxes[:, 0] = 0  # padding
    boxes[:, 1] = [-40, -40, 200, 30]  # far outside
    boxes[:, 2] = [0, 0, width, height]
    return boxes


def pooled_and_gradients(features, boxes, **arguments):
    features = [tf.convert_to_tensor(feature) for feature in features]
    boxes = tf.convert_to_tensor(boxes)
    with tf.GradientTape() as tape:
        tape.watch([*features, boxes])
        pooled = multilevel_roi_align(features, boxes, STRIDES, canonical_size=48, **arguments)
        # Uneven, so that every output has a gradient of its own.
        loss = tf.reduce_sum(
            pooled
            * tf.cos(tf.reshape(tf.range(tf.size(pooled), dtype=tf.float32), tf.shape(pooled)))
        )
    gradients = tape.gradient(loss, [*features, boxes])
    assert gradients.pop() is None
    return pooled.numpy(), [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("ratio", [0, 1, 2])
def test_equals_torchvision(path, aligned, ratio):
    rois, features = GOLDEN["ra_rois"], GOLDEN["ra_features_nhwc"]
    boxes = np.stack([rois[:, 1:]] * len(features))
    scale = 1 / float(GOLDEN["ra_stride"])
    pooled = roi_align(features, boxes, scale, 7, ratio, bool(aligned), max_samples=8)
    pooled = ops.convert_to_numpy(pooled)[rois[:, 0].astype(int), np.arange(len(rois))]
    expected = GOLDEN[f"ra_aligned{aligned}_ratio{ratio}_nhwc"]
    np.testing.assert_allclose(pooled, expected, atol=1e-4)


@pytest.mark.parametrize("ratio", [1, 2])
def test_published_half_pixel_case(path, ratio):
    image = np.arange(25, dtype="float32").reshape(1, 5, 5, 1)
    boxes = np.array([[[1, 1, 3, 3]]], "float32")
    pooled = ops.convert_to_numpy(roi_align(image, boxes, 1.0, 4, ratio))[0, 0, :, :, 0]
    np.testing.assert_allclose(pooled[0], [4.5, 5, 5.5, 6], atol=1e-5)
    np.testing.assert_allclose(pooled[3], [12, 12.5, 13, 13.5], atol=1e-5)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("size, ratio", [(7, 2), (3, 3), (1, 1)])
def test_levels_equal_naive_loop(path, aligned, size, ratio):
    features, boxes = pyramid(), boxes_of_all_sizes()
    pooled = multilevel_roi_align(
        features, boxes, STRIDES, size, ratio, aligned, canonical_size=48, canonical_level=4
    )
    pooled = ops.convert_to_numpy(pooled)
    used = set()
    for b in range(2):
        for n, box in enumerate(boxes[b]):
            area = (box[2] - box[0]) * (box[3] - box[1])
            level = int(np.clip(np.floor(4 + np.log2(np.sqrt(area) / 48 + 1e-8)), 2, 4)) - 2
            used.add(level)
            expected = naive_roi_align(
                features[level][b], box, STRIDES[level], size, ratio, aligned
            )
            np.testing.assert_allclose(pooled[b, n], expected, atol=1e-4)
    assert used == {0, 1, 2}


def test_level_boundaries_are_exact(path):
    # Maps hold the number of their level; sides 112, 224, 448 begin levels 3, 4, 5.
    features = [np.full((1, 8, 8, 1), level, "float32") for level in (2, 3, 4, 5)]
    sides = np.array([1, 111.9, 112, 223.9, 224, 447.9, 448, 2000], "float32")
    boxes = np.stack([sides * 0, sides * 0, sides, sides], -1)[None]
    pooled = multilevel_roi_align(features, boxes, [256] * 4, output_size=1, sampling_ratio=1)
    expected = [2, 2, 3, 3, 4, 4, 5, 5]
    np.testing.assert_allclose(ops.convert_to_numpy(pooled).reshape(-1), expected, atol=1e-5)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("at_once", [True, False])
def test_both_paths_have_equal_gradients(monkeypatch, aligned, ratio, at_once):
    features, boxes = pyramid(), boxes_of_all_sizes()
    arguments = {"sampling_ratio": ratio, "aligned": aligned}
    monkeypatch.setattr("detection.roi_align._LARGEST_UPDATE", 2**20 if at_once else 0)
    by_kernel = pooled_and_gradients(features, boxes, **arguments)
    monkeypatch.setattr(_tensorflow, "kernels_available", lambda: False)
    by_ops = pooled_and_gradients(features, boxes, **arguments)
    np.testing.assert_allclose(by_kernel[0], by_ops[0], atol=1e-4)
    for kernel, pure in zip(by_kernel[1], by_ops[1]):
        assert np.abs(pure).max() > 0.1
        np.testing.assert_allclose(kernel, pure, atol=1e-4)


def adaptive(box, stride, size, most):
    """Samples along each side of a bin, rows and columns, by the definition."""
    sides = (np.asarray(box[2:], "float64") - box[:2])[::-1] / stride
    return np.minimum(np.ceil(sides / size).astype(int), most)


def test_adaptive_samples_up_to_their_bound():
    features, boxes = pyramid(), boxes_of_all_sizes()
    pooled = ops.convert_to_numpy(
        roi_align(features[0], boxes, 0.25, 3, sampling_ratio=0, max_samples=4)
    )
    counts = set()
    for b in range(2):
        for n, box in enumerate(boxes[b]):
            rows, columns = adaptive(box, 4, 3, 4)
            counts |= {rows, columns}
            expected = naive_roi_align(features[0][b], box, 4, 3, (rows, columns), True)
            np.testing.assert_allclose(pooled[b, n], expected, atol=1e-4)
    assert counts == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("ratio", [0, 2])
def test_gradient_equals_finite_differences(path, ratio):
    # RoIAlign is linear in the features: a difference of any length is exact.
    features = pyramid(batch=1, channels=1, height=32, width=32)
    boxes = boxes_of_all_sizes(batch=1, n=5, height=32, width=32)
    weights = np.random.default_rng(3).normal(size=(1, 5, 7, 7, 1)).astype("float32")

    def loss(features):
        pooled = multilevel_roi_align(
            features, boxes, STRIDES, sampling_ratio=ratio, canonical_size=32
        )
        return tf.reduce_sum(pooled * weights)

    tensors = [tf.convert_to_tensor(feature) for feature in features]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = loss(tensors)
    gradients = tape.gradient(value, tensors)
    for level, feature in enumerate(features):
        for y, x in [(0, 0), (1, 1), (feature.shape[1] - 1, feature.shape[2] - 1)]:
            moved = [f.copy() for f in features]
            moved[level][0, y, x, 0] += 1
            difference = loss([tf.convert_to_tensor(f) for f in moved]) - value
            gradient = tf.convert_to_tensor(gradients[level])[0, y, x, 0]
            np.testing.assert_allclose(gradient, difference, atol=1e-4)


def test_overlapping_boxes_add_up(path):
    # Hundreds of equal boxes: their gradient is that of one, times their number.
    features = [tf.ones((1, 20, 20, 8))]
    boxes = tf.tile(tf.constant([[[8.0, 8, 20, 20]]]), (1, 400, 1))
    gradients = []
    for count in (1, 400):
        with tf.GradientTape() as tape:
            tape.watch(features)
            loss = tf.reduce_sum(multilevel_roi_align(features, boxes[:, :count], [4]))
        gradients.append(tf.convert_to_tensor(tape.gradient(loss, features)[0]).numpy())
    np.testing.assert_allclose(gradients[0].sum(), 49 * 8, rtol=1e-5)
    np.testing.assert_allclose(gradients[1], 400 * gradients[0], rtol=1e-4, atol=1e-3)


def test_gradient_repeats_bit_for_bit():
    # Threads that added to the same cells in any order would round differently.
    features = [tf.random.stateless_normal((1, 24, 24, 32), (0, 1))]
    boxes = np.random.default_rng(0).uniform([0, 0, 40, 40], [40, 40, 96, 96], (1, 600, 4))
    upstream = tf.random.stateless_normal((1, 600, 7, 7, 32), (0, 2))

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(features)
            loss = tf.reduce_sum(multilevel_roi_align(features, boxes, [4]) * upstream)
        return tape.gradient(loss, features)[0]

    assert _tensorflow.sparse_kernels_available()
    first = gradient().numpy()
    assert np.abs(first).max() > 1
    for _ in range(5):
        np.testing.assert_array_equal(gradient(), first)


def test_no_boxes(path):
    pooled, gradients = pooled_and_gradients(pyramid(), np.zeros((2, 0, 4), "float32"))
    assert pooled.shape == (2, 0, 7, 7, 3)
    assert not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_features(path, dtype):
    features, boxes = pyramid(), boxes_of_all_sizes()
    halves = [tf.cast(feature, dtype) for feature in features]
    pooled = multilevel_roi_align(halves, boxes, STRIDES, canonical_size=48)
    assert pooled.dtype == dtype
    exact = multilevel_roi_align(
        [tf.cast(half, "float32") for half in halves], boxes, STRIDES, canonical_size=48
    )
    # Only the result is rounded: half a unit in the last place.
    bound = {"bfloat16": 2**-8, "float16": 2**-11}[dtype]
    np.testing.assert_allclose(tf.cast(pooled, "float32"), exact, rtol=bound, atol=1e-5)


def test_boxes_that_are_not_finite_pool_zeros(path):
    features, boxes = pyramid(), boxes_of_all_sizes()
    expected = ops.convert_to_numpy(multilevel_roi_align(features, boxes, STRIDES))
    boxes[0, 5] = np.nan
    boxes[1, 6] = np.inf
    pooled = ops.convert_to_numpy(multilevel_roi_align(features, boxes, STRIDES))
    assert not pooled[0, 5].any() and not pooled[1, 6].any()
    others = np.ones((2, 12), bool)
    others[0, 5] = others[1, 6] = False
    np.testing.assert_allclose(pooled[others], expected[others], atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_dynamic_shapes_in_a_graph(jit_compile):
    seen = []

    @tf.function(
        jit_compile=jit_compile,
        input_signature=[
            [tf.TensorSpec([None, None, None, 3], "float32")] * 3,
            tf.TensorSpec([None, None, 4], "float32"),
        ],
    )
    def graph(features, boxes):
        seen.append(_tensorflow.kernels_available())
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = multilevel_roi_align(features, boxes, STRIDES, canonical_size=48)
            assert pooled.shape[2:] == (7, 7, 3)
            loss = tf.reduce_sum(pooled**2)
        return pooled, [tf.convert_to_tensor(g) for g in tape.gradient(loss, features)]

    for batch, height, width in ((1, 32, 64), (2, 64, 96)):
        features = pyramid(0, batch, 3, height, width)
        boxes = boxes_of_all_sizes(1, batch, 6, height, width)
        pooled, gradients = graph(features, boxes)
        tensors = [tf.convert_to_tensor(feature) for feature in features]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            expected = multilevel_roi_align(tensors, boxes, STRIDES, canonical_size=48)
            loss = tf.reduce_sum(expected**2)
        np.testing.assert_allclose(pooled, expected, atol=1e-4)
        for gradient, other in zip(gradients, tape.gradient(loss, tensors)):
            np.testing.assert_allclose(gradient, other, atol=1e-3)
    assert seen == [not jit_compile]


@pytest.mark.parametrize(
    "name, value",
    [("output_size", 0), ("sampling_ratio", -1), ("sampling_ratio", 1.5), ("max_samples", 0)],
)
def test_bad_grids_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Received: {name}"):
        roi_align(np.zeros((1, 4, 4, 1)), np.zeros((1, 1, 4)), 1.0, **{name: value})


def test_unequal_levels_are_refused():
    with pytest.raises(ValueError, match="Received: 3 feature maps"):
        multilevel_roi_align(pyramid(), boxes_of_all_sizes(), [4, 8])
