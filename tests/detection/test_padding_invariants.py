"""Where padding stands and what is in it changes nothing of matching and sampling."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.boxes import iou_matrix
from detection.matching import match, match_boxes
from detection.sampling import sample

FIXED = settings(derandomize=True, deadline=None, max_examples=25, database=None)


def random_boxes(rng, count):
    corner = rng.uniform(0, 60, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 40, (count, 2))], 1).astype("float32")


def matched(function, candidates, boxes, valid, low_quality):
    """The box each positive candidate points to, and the labels."""
    thresholds = {"positive": 0.5, "negative": 0.3, "allow_low_quality": low_quality}
    if function is match:
        index, labels = match(iou_matrix(candidates, boxes), valid, **thresholds)
    else:
        index, labels = match_boxes(candidates[None], boxes[None], valid[None], **thresholds)
    index, labels = (keras.ops.convert_to_numpy(v).reshape(-1) for v in (index, labels))
    return np.where(labels[:, None] == 1, boxes[index], 0), labels


@FIXED
@given(st.integers(0, 10_000), st.integers(0, 6), st.booleans())
def test_matching(seed, count, low_quality):
    rng = np.random.default_rng(seed)
    candidates, boxes = random_boxes(rng, 30), random_boxes(rng, 6)
    valid = np.arange(6) < count
    order = rng.permutation(6)
    other = np.where(valid[:, None], boxes, random_boxes(rng, 6))
    for function in (match, match_boxes):
        plain = matched(function, candidates, boxes, valid, low_quality)
        moved = matched(function, candidates, other[order], valid[order], low_quality)
        np.testing.assert_array_equal(plain[1], moved[1])
        np.testing.assert_array_equal(plain[0], moved[0])
        # A positive points to a box that is there.
        assert count or not (plain[1] == 1).any()


@FIXED
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_sampling(seed, fraction):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 2, 24).astype("int32")
    noise = rng.random(24, "float32")
    order = rng.permutation(24)

    def chosen(labels, noise, names):
        outputs = sample(labels[None], 8, fraction, noise[None])
        indices, valid, _ = (keras.ops.convert_to_numpy(v)[0] for v in outputs)
        return set(names[indices[valid]].tolist())

    plain = chosen(labels, noise, np.arange(24))
    assert plain == chosen(labels[order], noise[order], np.arange(24)[order])
    assert not plain & set(np.flatnonzero(labels == -1).tolist())
    # The noise of what is ignored decides nothing.
    assert plain == chosen(
        labels, np.where(labels < 0, 2.0, noise).astype("float32"), np.arange(24)
    )
