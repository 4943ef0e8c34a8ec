"""Suppression against torchvision's kept indices and a naive NumPy loop, on every path."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from detection import _tensorflow
from detection.nms import nms

GOLDEN = np.load(Path(__file__).parent.parent / "data" / "torchvision_ops.npz")


# As a graph, because thousands of eager operations are slow.
PURE = tf.function(nms)


@pytest.fixture(params=["kernel", "ops"])
def run(request, monkeypatch):
    """`nms` by the TensorFlow kernel, and by the pure operations."""
    if request.param == "kernel":
        assert _tensorflow.kernels_available()
        return nms
    monkeypatch.setattr(_tensorflow, "kernels_available", lambda: False)
    return PURE


def on_both_paths():
    """For property tests, in which one fixture would serve all examples."""
    yield nms
    with mock.patch.object(_tensorflow, "kernels_available", lambda: False):
        yield PURE


def naive_nms(boxes, scores, threshold, usable, classes=None):
    """Kept indices of one image in order of score, by the definition, in float64."""
    boxes = [[float(side) for side in box] for box in boxes]
    kept = []
    for i in sorted(np.flatnonzero(usable), key=lambda i: (-scores[i], i)):
        a = boxes[i]
        for j in kept:
            if classes is not None and classes[i] != classes[j]:
                continue
            b = boxes[j]
            width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
            height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
            if union > 0 and width * height / union > threshold:
                break
        else:
            kept.append(i)
    return np.array(kept, int)


def random_case(seed, batch, n, spread=60):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, spread, (batch, n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 30, (batch, n, 2))], -1)
    # Coarse scores tie often.
    scores = np.round(rng.random((batch, n)), 2)
    return boxes.astype("float32"), scores.astype("float32"), rng.integers(0, 4, (batch, n))


def check(result, expected, max_output):
    """The result's first image holds the expected indices, then nothing."""
    indices, valid = (np.asarray(part) for part in result)
    expected = expected[:max_output]
    assert indices.shape[-1] == max_output
    np.testing.assert_array_equal(valid[0], np.arange(max_output) < len(expected))
    np.testing.assert_array_equal(indices[0][valid[0]], expected)
    assert not indices[~valid].any()


@pytest.mark.parametrize("max_output", [100, 300])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_keeps_what_torchvision_keeps(run, threshold, max_output):
    boxes, scores, classes = (
        GOLDEN[f"nms_{name}"][None] for name in ("boxes", "scores", "classes")
    )
    plain = run(boxes, scores, threshold, max_output)
    check(plain, GOLDEN[f"nms_keep_{threshold}"], max_output)
    by_class = run(boxes, scores, threshold, max_output, classes=classes)
    check(by_class, GOLDEN[f"batched_nms_keep_{threshold}"], max_output)


@pytest.mark.parametrize("max_output", [20, 150])
@pytest.mark.parametrize("by_class", [False, True])
def test_equals_naive_loop_over_several_blocks(run, max_output, by_class):
    boxes, scores, classes = random_case(0, 2, 600, spread=300)
    result = run(boxes, scores, 0.5, max_output, classes=classes if by_class else None)
    for i in range(2):
        expected = naive_nms(
            boxes[i], scores[i], 0.5, scores[i] > -1, classes[i] if by_class else None
        )
        check([part[i : i + 1] for part in result], expected, max_output)


def test_many_classes_far_apart_do_not_lose_precision(run):
    # Boxes of 4 pixels, 90 classes, coordinates up to 1,333: overlaps are decided by 0.01 pixel.
    rng = np.random.default_rng(0)
    corner = rng.uniform(1200, 1329, (1, 400, 2))
    corner[:, 200:] = corner[:, :200] + rng.choice([1.32, 1.35], (1, 200, 1)) * [1, 0]
    boxes = np.concatenate([corner, corner + 4], -1).astype("float32")
    scores = np.linspace(1, 0.1, 400, dtype="float32")[None]
    classes = np.tile(rng.integers(0, 90, 200), 2)[None]
    # Overlap (4 - d) / (4 + d) crosses 0.5 at d = 1.3333.
    expected = naive_nms(boxes[0], scores[0], 0.5, scores[0] > 0, classes[0])
    assert 200 < len(expected) < 400
    check(run(boxes, scores, 0.5, 400, classes=classes), expected, 400)


@pytest.mark.parametrize("max_output", [10, 200])
def test_masked_rows_are_never_kept(run, max_output):
    boxes, scores, _ = random_case(1, 1, 60)
    valid = np.arange(60)[None] % 3 != 0
    scores[0, [1, 4]] = np.nan, -np.inf
    boxes[0, 7, 2] = np.nan
    boxes[0, 10, 0] = -np.inf
    boxes[0, 0] = np.nan  # masked anyway
    usable = valid[0] & (scores[0] > 0.25)
    usable[[1, 4, 7, 10]] = False
    expected = naive_nms(boxes[0], np.nan_to_num(scores[0]), 0.4, usable)
    result = run(boxes, scores, 0.4, max_output, score_threshold=0.25, valid=valid)
    check(result, expected, max_output)


def test_rows_all_masked(run):
    boxes, scores, classes = random_case(2, 2, 30)
    for arguments in ({"max_output": 5}, {"max_output": 150, "classes": classes}):
        indices, valid = run(boxes, scores, 0.5, valid=np.zeros((2, 30), bool), **arguments)
        assert not np.any(valid) and not np.any(indices)


@pytest.mark.parametrize("max_output", [5, 200])
def test_no_candidates(run, max_output):
    boxes, scores = np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "float32")
    for classes in (None, np.zeros((2, 0), "int32")):
        indices, valid = run(boxes, scores, 0.5, max_output, classes=classes)
        assert indices.shape == (2, max_output)
        assert not np.any(valid) and not np.any(indices)


def test_equal_scores_keep_the_lower_index(run):
    boxes = np.tile(np.array([[0, 0, 4, 4], [9, 9, 12, 12]], "float32"), (2, 1))[None]
    for max_output in (4, 200):
        check(
            run(boxes, np.full((1, 4), 0.5, "float32"), 0.5, max_output),
            np.array([0, 1]),
            max_output,
        )


def test_overlap_equal_to_the_threshold_is_kept(run):
    boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 4, 3]]], "float32")
    scores = np.array([[0.9, 0.8, 0.7]], "float32")
    for max_output in (3, 200):
        check(run(boxes, scores, 0.5, max_output), np.array([0, 1]), max_output)


def test_negative_scores_count(run):
    boxes = np.array([[[0, 0, 4, 4], [8, 8, 9, 9]]], "float32")
    for max_output in (2, 200):
        check(run(boxes, np.array([[-3.0, -2.0]]), 0.5, max_output), np.array([1, 0]), max_output)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.7]))
def test_again_on_the_kept_changes_nothing(seed, threshold):
    boxes, scores, _ = random_case(seed, 1, 20)
    for run in on_both_paths():
        indices, valid = run(boxes, scores, threshold, 20)
        indices = np.asarray(indices)[0]
        again = run(boxes[:, indices], scores[:, indices], threshold, 20, valid=valid)
        check(again, np.arange(np.asarray(valid).sum()), 20)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_place_and_content_of_padding_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    boxes, scores, classes = random_case(seed, 1, 30)
    scores = rng.permutation(30).astype("float32")[None]  # no ties, so order cannot matter
    place = np.sort(rng.choice(50, 30, replace=False))
    wide_boxes = rng.choice([0, np.nan, np.inf, 1e9], (1, 50, 4)).astype("float32")
    wide_scores = rng.choice([5.0, np.nan, np.inf, -np.inf], (1, 50)).astype("float32")
    wide_classes, valid = np.full((1, 50), -1), np.zeros((1, 50), bool)
    wide_boxes[:, place], wide_scores[:, place] = boxes, scores
    wide_classes[:, place], valid[:, place] = classes, True
    for run in on_both_paths():
        indices, kept = run(boxes, scores, 0.4, 12, classes=classes)
        expected = place[np.asarray(indices)[0][np.asarray(kept)[0]]]
        wide = run(wide_boxes, wide_scores, 0.4, 12, classes=wide_classes, valid=valid)
        check(wide, expected, 12)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("max_output", [10, 300])
def test_dynamic_shapes_in_a_graph(jit_compile, max_output):
    seen = []

    @tf.function(
        jit_compile=jit_compile,
        input_signature=[
            tf.TensorSpec([None, None, 4], "float32"),
            tf.TensorSpec([None, None], "float32"),
            tf.TensorSpec([None, None], "int32"),
        ],
    )
    def graph(boxes, scores, classes):
        seen.append(_tensorflow.kernels_available())
        return nms(boxes, scores, 0.5, max_output, classes=classes)

    for n, batch in ((5, 1), (400, 2)):
        boxes, scores, classes = random_case(3, batch, n)
        result = graph(boxes, scores, classes.astype("int32"))
        assert result[0].shape == (batch, max_output)
        for i in range(batch):
            expected = naive_nms(boxes[i], scores[i], 0.5, scores[i] > -1, classes[i])
            check([part[i : i + 1] for part in result], expected, max_output)
    assert seen == [not jit_compile]


@pytest.mark.parametrize("threshold, max_output", [(0.5, 0), (1.5, 10), (-0.1, 10)])
def test_bad_arguments_are_refused(threshold, max_output):
    with pytest.raises(ValueError, match="Received: max_output"):
        nms(np.zeros((1, 2, 4)), np.zeros((1, 2)), threshold, max_output)
