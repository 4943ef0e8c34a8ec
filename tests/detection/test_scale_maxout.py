"""Maxout over two adjacent scales against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from detection.poolers import RoIPooler
from detection.scale_maxout import maxout_over_scales, nearest_scales

SCALES = (0.5, 1.0, 1.5, 2.5)


def pyramid(seed=0):
    """Maps of four scales, 20 regions in two images, and a linear head."""
    rng = np.random.default_rng(seed)
    maps = [[rng.normal(size=(2, int(16 * s), int(16 * s), 3)).astype("float32")] for s in SCALES]
    corner = rng.uniform(0, 30, (2, 20, 2))
    boxes = np.concatenate([corner, corner + np.exp(rng.uniform(0.7, 3.5, (2, 20, 2)))], -1)
    boxes = [(s * boxes).astype("float32") for s in SCALES]
    kernel = rng.normal(size=(12, 5)).astype("float32")
    return maps, boxes, kernel


def nearest(boxes, size):
    """The two scales by a loop over pairs of neighbours."""
    areas = np.stack([(b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1]) for b in boxes], -1)
    return np.argsort(np.abs(areas - size**2), axis=-1, kind="stable")[..., :2]


def test_the_two_scales_are_the_nearest_and_adjacent():
    _, boxes, _ = pyramid()
    found = ops.convert_to_numpy(nearest_scales(boxes, 20))
    np.testing.assert_array_equal(found, nearest(boxes, 20))
    assert (np.abs(found[..., 0] - found[..., 1]) == 1).all()
    assert set(found.reshape(-1)) == {0, 1, 2, 3}


def test_the_papers_pyramid():
    """Shorter sides 200 to 1000; regions are given in pixels of 600."""
    regions = np.array([[[0.0, 0, s, s] for s in (600, 224, 120, 20)]], "float32")
    boxes = [regions * s / 600 for s in (200, 400, 600, 800, 1000)]
    # Areas, in pixels of 224 x 224 = 50,176: 600 is seen as 40,000 and 160,000 at the two
    # smallest scales, 224 as 50,176 and 22,300, 120 as 40,000 and 25,600, 20 always as less.
    assert ops.convert_to_numpy(nearest_scales(boxes)).tolist() == [
        [[0, 1], [2, 1], [4, 3], [4, 3]]
    ]


@pytest.mark.parametrize("scales", [4, 2, 1])
def test_equals_numpy(scales):
    maps, boxes, kernel = pyramid()
    maps, boxes = maps[:scales], boxes[:scales]
    pooler = RoIPooler(strides=(2,), size=2)

    def head(pooled):
        return ops.matmul(ops.reshape(pooled, (2, 20, 12)), kernel)

    found = ops.convert_to_numpy(maxout_over_scales(pooler, head, maps, boxes, 20))
    every = [ops.convert_to_numpy(head(pooler(m, b))) for m, b in zip(maps, boxes)]
    chosen = nearest(boxes, 20)
    for image in range(2):
        for n in range(20):
            expected = np.max([every[s][image, n] for s in chosen[image, n]], axis=0)
            np.testing.assert_allclose(found[image, n], expected, atol=1e-5)
    if scales == 1:
        np.testing.assert_array_equal(found, every[0])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compiles by TensorFlow")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph_of_images_of_any_size(jit_compile):
    import tensorflow as tf

    maps, boxes, kernel = pyramid()
    pooler = RoIPooler(strides=(2,), size=2)

    def compute(maps, boxes):
        def head(pooled):
            return ops.matmul(ops.reshape(pooled, (-1, 20, 12)), kernel)

        return maxout_over_scales(pooler, head, [[level] for level in maps], boxes, 20)

    signature = [
        [tf.TensorSpec((None, None, None, 3))] * len(maps),
        [tf.TensorSpec((None, 20, 4))] * len(maps),
    ]
    compiled = tf.function(compute, input_signature=signature, jit_compile=jit_compile)
    flat = [level for (level,) in maps]
    np.testing.assert_allclose(
        compiled(flat, boxes).numpy(), ops.convert_to_numpy(compute(flat, boxes)), atol=1e-4
    )
