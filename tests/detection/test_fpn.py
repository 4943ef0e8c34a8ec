import numpy as np
import pytest
from keras import ops

from detection.fpn import FeaturePyramid, _upsample_like
from detection.top_k import padded_top_k


def features(sizes, channels=(3, 5, 7), seed=0):
    rng = np.random.default_rng(seed)
    return {
        f"C{i + 2}": rng.standard_normal((2, *size, c)).astype("float32")
        for i, (size, c) in enumerate(zip(sizes, channels))
    }


def convolve(x, kernel, bias):
    """A stride-1 convolution with zero padding, written out."""
    side = kernel.shape[0]
    padded = np.pad(x, ((0, 0), (side // 2,) * 2, (side // 2,) * 2, (0, 0)))
    out = np.zeros((*x.shape[:3], kernel.shape[-1])) + bias
    for i in range(side):
        for j in range(side):
            window = padded[:, i : i + x.shape[1], j : j + x.shape[2]]
            out += window @ kernel[i, j]
    return out


@pytest.mark.parametrize("sizes", [((8, 12), (4, 6), (2, 3)), ((7, 9), (4, 5), (2, 3))])
def test_pyramid_equals_numpy_also_for_odd_sizes(sizes):
    inputs = features(sizes)
    pyramid = FeaturePyramid(("C2", "C3", "C4"), filters=4)
    outputs = [ops.convert_to_numpy(x) for x in pyramid(inputs)]
    lateral = [
        convolve(x, *(np.array(w) for w in layer.get_weights()))
        for x, layer in zip(inputs.values(), pyramid.laterals)
    ]
    for level in (1, 0):
        height, width = lateral[level].shape[1:3]
        # Nearest neighbour: cell i of the finer map lies over cell i // 2.
        above = lateral[level + 1][:, np.arange(height) // 2][:, :, np.arange(width) // 2]
        lateral[level] = lateral[level] + above
    expected = [convolve(x, *o.get_weights()) for x, o in zip(lateral, pyramid.outputs)]
    expected.append(expected[-1][:, ::2, ::2])
    assert len(outputs) == 4
    for found, wanted in zip(outputs, expected):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_norms_follow_every_convolution(training):
    inputs = features(((4, 4), (2, 2)), channels=(3, 5))
    pyramid = FeaturePyramid(("C2", "C3"), filters=4, norm={"kind": "batch", "epsilon": 1e-3})
    pyramid.build({name: x.shape for name, x in inputs.items()})
    rng = np.random.default_rng(1)
    for norm in (*pyramid.lateral_norms, *pyramid.output_norms):
        norm.set_weights([rng.uniform(0.5, 1.5, 4) for _ in range(4)])
    before = [norm.get_weights() for norm in (*pyramid.lateral_norms, *pyramid.output_norms)]

    def unit(x, convolution, weights):
        x = convolve(x, convolution.get_weights()[0], 0)
        gamma, beta, mean, variance = weights
        if training:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    c2, c3 = (unit(x, *u) for x, *u in zip(inputs.values(), pyramid.laterals, before[:2]))
    c2 = c2 + c3.repeat(2, axis=1).repeat(2, axis=2)
    expected = [unit(x, *u) for x, *u in zip((c2, c3), pyramid.outputs, before[2:])]
    found = pyramid(inputs, training=training)
    for level in range(2):
        np.testing.assert_allclose(found[level], expected[level], atol=1e-4)
    assert not any(layer.use_bias for layer in (*pyramid.laterals, *pyramid.outputs))
    clone = FeaturePyramid.from_config(pyramid.get_config())
    clone.build({name: x.shape for name, x in inputs.items()})
    assert [w.shape for w in clone.weights] == [w.shape for w in pyramid.weights]


@pytest.mark.parametrize("sizes", [((8, 12), (4, 6)), ((7, 9), (4, 5))])
@pytest.mark.parametrize("static", [True, False])
def test_gradient_of_the_upsampling(sizes, static):
    tf = pytest.importorskip("tensorflow")
    fine, coarse = (tf.zeros((2, *size, 3)) for size in sizes)
    upstream = np.random.default_rng(0).standard_normal((2, *sizes[0], 3)).astype("float32")

    @tf.function(reduce_retracing=True)
    def gradient(coarse, fine):
        with tf.GradientTape() as tape:
            tape.watch(coarse)
            loss = tf.reduce_sum(_upsample_like(coarse, fine) * upstream)
        return tape.gradient(loss, coarse)

    if static:
        found = gradient(coarse, fine)
    else:
        spec = tf.TensorSpec([None, None, None, 3])
        found = gradient.get_concrete_function(spec, spec)(coarse, fine)
    expected = np.zeros(coarse.shape, "float32")
    for y, x in np.ndindex(*sizes[0]):
        expected[:, y // 2, x // 2] += upstream[:, y, x]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_output_shapes_are_those_computed():
    inputs = features(((8, 12), (4, 6), (2, 3)))
    pyramid = FeaturePyramid(("C2", "C3", "C4"), filters=4)
    outputs = pyramid(inputs)
    computed = pyramid.compute_output_shape({k: v.shape for k, v in inputs.items()})
    assert [tuple(x.shape) for x in outputs] == [tuple(s) for s in computed]


def test_initialisation_is_xavier_uniform_by_fan_in():
    pyramid = FeaturePyramid(("C2",), filters=256)
    pyramid.build({"C2": (None, None, None, 512)})
    kernel = ops.convert_to_numpy(pyramid.laterals[0].kernel)
    bound = np.sqrt(3 / 512)
    assert abs(kernel).max() <= bound
    assert abs(kernel).max() > 0.99 * bound
    assert abs(kernel.std() - np.sqrt(1 / 512)) < 0.01 * np.sqrt(1 / 512)


def test_no_levels_are_refused():
    with pytest.raises(ValueError, match="at least one level"):
        FeaturePyramid(())


def test_padded_top_k_of_few_candidates():
    values, indices, valid = padded_top_k(np.array([[1.0, 3.0, -np.inf]], "float32"), 5)
    assert ops.convert_to_numpy(indices)[0, :2].tolist() == [1, 0]
    assert ops.convert_to_numpy(valid).tolist() == [[True, True, False]]
    assert ops.convert_to_numpy(values)[0, 0] == 3
