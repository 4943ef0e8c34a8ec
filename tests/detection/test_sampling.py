"""Properties of the sampler, checked by counting in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.sampling import sample


def check(labels, count, fraction, result):
    indices, valid, positive = (np.asarray(part) for part in result)
    assert indices.shape == valid.shape == positive.shape == (len(labels), count)
    for i, row in enumerate(labels):
        num_positive = min((row == 1).sum(), int(count * fraction))
        num_negative = min((row == 0).sum(), count - num_positive)
        chosen = indices[i][valid[i]]
        assert len(chosen) == num_positive + num_negative
        assert len(set(chosen.tolist())) == len(chosen)
        np.testing.assert_array_equal(positive[i], np.arange(count) < num_positive)
        assert (row[chosen[:num_positive]] == 1).all()
        assert (row[chosen[num_positive:]] == 0).all()
        assert not indices[i][~valid[i]].any()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(1, 16),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.integers(0, 1000),
)
def test_counts_order_and_labels(n, count, fraction, seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1, 0, 1], (2, n), p=rng.dirichlet([1, 1, 1])).astype("int32")
    noise = rng.random((2, n), "float32")
    check(labels, count, fraction, sample(labels, count, fraction, noise))


def test_largest_noise_is_chosen():
    labels = np.array([[1, 0, 1, 0, 0, -1, 1]], "int32")
    noise = np.array([[0.1, 0.2, 0.9, 0.4, 0.0, 0.99, 0.5]], "float32")
    indices, valid, _ = sample(labels, 4, 0.5, noise)
    np.testing.assert_array_equal(indices, [[2, 6, 3, 1]])
    assert np.all(valid)


def test_zero_and_equal_noise_still_choose():
    labels = np.array([[0, 1, 0, 1]], "int32")
    indices, valid, positive = sample(labels, 4, 0.5, np.zeros((1, 4), "float32"))
    np.testing.assert_array_equal(indices, [[1, 3, 0, 2]])
    np.testing.assert_array_equal(positive, [[True, True, False, False]])
    assert np.all(valid)


def test_choice_is_uniform():
    rng = np.random.default_rng(0)
    labels = np.tile(np.array([[0] * 10 + [1] * 10], "int32"), (4000, 1))
    indices = np.asarray(sample(labels, 4, 0.5, rng.random(labels.shape, "float32"))[0])
    frequency = np.bincount(indices.reshape(-1), minlength=20) / 4000
    # Each of 20 is chosen with probability 0.2; five standard errors.
    np.testing.assert_allclose(frequency, 0.2, atol=5 * (0.16 / 4000) ** 0.5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_dynamic_number_of_candidates_in_a_graph(jit_compile):
    @tf.function(
        jit_compile=jit_compile,
        input_signature=[
            tf.TensorSpec([None, None], "int32"),
            tf.TensorSpec([None, None], "float32"),
        ],
    )
    def graph(labels, noise):
        return sample(labels, 8, 0.5, noise)

    rng = np.random.default_rng(0)
    for n in (3, 50):
        labels = rng.choice([-1, 0, 1], (2, n)).astype("int32")
        noise = rng.random((2, n), "float32")
        result = graph(labels, noise)
        check(labels, 8, 0.5, result)
        for ours, eager in zip(result, sample(labels, 8, 0.5, noise)):
            np.testing.assert_array_equal(ours, eager)


@pytest.mark.parametrize("count, fraction", [(0, 0.5), (4, 1.5), (4, -0.1)])
def test_bad_arguments_are_refused(count, fraction):
    with pytest.raises(ValueError, match="Received: count"):
        sample(np.zeros((1, 4), "int32"), count, fraction, np.zeros((1, 4), "float32"))
