"""Frozen TensorFlow functions against the functions they come from."""

import keras
import numpy as np
import pytest

import keras_resnet

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="Graphs are TensorFlow's"
)
tf = pytest.importorskip("tensorflow")

from keras_resnet.inference_copy import fold_norms, with_dtype  # noqa: E402
from keras_resnet.inference_graph import freeze, simplify  # noqa: E402

SPEC = {"images": tf.TensorSpec([None, 32, 32, 3], tf.float32)}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    options = {"zero_init_residual": False, "input_shape": (32, 32, 3), "classes": 5}
    return fold_norms(keras_resnet.ResNet((1, 1), width=8, **options))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(0, 1, (3, 32, 32, 3)).astype("float32")


def nodes(call):
    return call.get_concrete_function().graph.as_graph_def().node


@pytest.mark.parametrize("constant", [True, False])
def test_same_outputs_with_constants_and_with_variables(network, images, constant):
    call, variables = freeze(lambda images: {"y": network(images)}, SPEC, constant)
    found = call({"images": tf.constant(images)})
    np.testing.assert_allclose(found["y"], network(images), rtol=1e-5, atol=1e-7)
    large = [w for w in network.weights if np.prod(w.shape) >= 1024]
    assert len(large) > 3
    assert len(variables) == (0 if constant else len(large))
    weights = {tuple(v.shape) for v in variables}
    assert weights == (set() if constant else {tuple(w.shape) for w in large})
    # The graph itself reads variables only where they were asked for.
    reads = [node for node in nodes(call) if node.op == "ReadVariableOp"]
    assert len(reads) == len(variables)


def test_spatial_kernels_alone_as_constants(network, images):
    call, variables = freeze(lambda images: {"y": network(images)}, SPEC, "spatial")
    found = call({"images": tf.constant(images)})
    np.testing.assert_allclose(found["y"], network(images), rtol=1e-5, atol=1e-7)
    shapes = {tuple(v.shape) for v in variables}
    large = {tuple(w.shape) for w in network.weights if np.prod(w.shape) >= 1024}
    spatial = {shape for shape in large if len(shape) == 4 and shape[0] > 1}
    assert spatial and large - spatial
    assert shapes == large - spatial


def test_other_kinds_of_constants_are_refused(network):
    with pytest.raises(ValueError, match="constant='all'"):
        freeze(lambda images: {"y": network(images)}, SPEC, "all")


def test_names_of_outputs_keep_their_tensors(images):
    def function(images):
        return {"b": images + 1.0, "a": images[:, 0], "c": tf.shape(images)}

    call, _ = freeze(function, SPEC)
    found = call({"images": tf.constant(images)})
    np.testing.assert_array_equal(found["b"], images + 1.0)
    np.testing.assert_array_equal(found["a"], images[:, 0])
    np.testing.assert_array_equal(found["c"], images.shape)


def test_projections_stride_themselves(network):
    call, _ = freeze(lambda images: {"y": network(images)}, SPEC)
    strided = [
        node
        for node in nodes(call)
        if node.op == "Conv2D" and list(node.attr["strides"].list.i) == [1, 2, 2, 1]
    ]
    # The stem, the 3x3 convolution of the second stage and its projection.
    assert len(strided) == 3
    assert not [node for node in nodes(call) if node.op in ("StridedSlice", "AvgPool")]


def test_weights_of_16_bits_are_stored_as_such(network, images):
    half = with_dtype(network, "mixed_bfloat16")
    call, _ = freeze(lambda images: {"y": half(images)}, SPEC)
    kernels = {
        tf.as_dtype(node.attr["dtype"].type).name
        for node in nodes(call)
        if node.op == "Const" and tf.make_ndarray(node.attr["value"].tensor).ndim == 4
    }
    assert kernels == {"bfloat16"}
    # Custom gradients leave nothing between a convolution and what can be fused with it.
    assert not [node for node in nodes(call) if node.op == "IdentityN"]
    found = call({"images": tf.constant(images)})["y"]
    np.testing.assert_allclose(found, half(images), atol=0.02)  # other roundings


@pytest.mark.parametrize(
    "part",
    [
        lambda x: x[:, ::2, ::2, :2],  # other channels than all
        lambda x: x[:, 1::2, ::2],
        lambda x: x[:, ::2, ::3],
        lambda x: x[::2, ::2, ::2],
        lambda x: x[:, ::2, ::2],
        lambda x: x[:, :7:2, :7:2],
    ],
)
def test_only_slices_that_a_stride_equals_are_replaced(part, images):
    kernel = np.random.default_rng(1).normal(0, 1, (1, 1, 3, 4)).astype("float32")

    def function(images):
        x = part(images)
        return {"y": tf.nn.conv2d(x, kernel[:, :, : x.shape[-1]], 1, "VALID")}

    call, _ = freeze(function, SPEC)
    np.testing.assert_allclose(
        call({"images": tf.constant(images)})["y"], function(tf.constant(images))["y"], atol=1e-5
    )


def test_the_given_graph_is_left_alone(network):
    traced = tf.function(lambda images: network(images)).get_concrete_function(**SPEC)
    graph = traced.graph.as_graph_def()
    before = graph.SerializeToString(deterministic=True)
    simplify(graph, [tensor.op.name for tensor in traced.outputs])
    assert graph.SerializeToString(deterministic=True) == before


def test_weights_beyond_the_limit_are_refused(network, monkeypatch):
    monkeypatch.setattr("keras_resnet.inference_graph.MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="2 GB"):
        freeze(lambda images: {"y": network(images)}, SPEC)
