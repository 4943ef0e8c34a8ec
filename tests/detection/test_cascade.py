"""The cascade against its stages run one by one, by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from detection.box_heads import ConvFCHead
from detection.box_predictor import BoxPredictor
from detection.cascade import CascadeRoIHeads
from detection.poolers import RoIPooler
from detection.region_sampling import RegionSampling
from tests.detection.test_roi_align import naive_roi_align
from tests.detection.test_roi_heads import random_boxes
from tests.detection.test_rpn import decode, iou

WEIGHTS = ((10, 10, 5, 5), (20, 20, 10, 10), (30, 30, 15, 15))
IOUS = (0.3, 0.4, 0.5)
SIZES = np.array([[60, 64], [40, 50]], "int32")


def make_cascade(**options):
    keras.utils.set_random_seed(0)
    heads = CascadeRoIHeads(
        RoIPooler(strides=(4,), size=2),
        [ConvFCHead(hidden=(6,), name=f"box_head_{i}") for i in (1, 2, 3)],
        [
            BoxPredictor(2, w, class_agnostic=True, name=f"predictor_{i}")
            for i, w in enumerate(WEIGHTS, start=1)
        ],
        ious=IOUS,
        sampling=RegionSampling(64, 1.0, IOUS[0]),
        **options,
    )
    heads.build([(None, 16, 16, 3)])
    for predictor in heads.predictors:
        predictor.regressor.kernel.assign(np.asarray(predictor.regressor.kernel) * 3000)
        predictor.classifier.kernel.assign(np.asarray(predictor.classifier.kernel) * 100)
    return heads


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((2, 16, 16, 3)).astype("float32")
    boxes = random_boxes(rng, 2, 9)
    y = {
        "boxes": np.concatenate([boxes[:, :2] + rng.uniform(-2, 2, (2, 2, 4)), boxes[:, :1]], 1),
        "classes": np.array([[0, 1, -1], [1, -1, -1]], "int32"),
        "is_crowd": np.zeros((2, 3), bool),
    }
    y["boxes"] = y["boxes"].astype("float32")
    return features, boxes, np.arange(9) < np.array([[9], [7]]), y


def run_stage(heads, stage, feature, box, size):
    """`(probabilities with background, deltas, refined box)` of one region."""
    x = naive_roi_align(feature, box, 4, 2, 2, True).reshape(-1)
    for layer in heads.box_heads[stage].dense:
        kernel, bias = layer.get_weights()
        x = np.maximum(x @ kernel + bias, 0)
    logits, deltas = (
        x @ np.asarray(layer.kernel) + np.asarray(layer.bias)
        for layer in (heads.predictors[stage].classifier, heads.predictors[stage].regressor)
    )
    exponents = np.exp(logits)
    refined = decode((deltas / WEIGHTS[stage])[None], box[None])[0]
    return exponents / exponents.sum(), deltas, np.clip(refined, 0, [*size[::-1], *size[::-1]])


def test_boxes_are_refined_and_scores_averaged(case):
    features, boxes, valid, _ = case
    heads = make_cascade()
    found, scores, still_valid = (
        np.asarray(part) for part in heads.candidates([features], boxes, valid, SIZES)
    )
    assert found.shape == (2, 9, 1, 4) and scores.shape == (2, 9, 2)
    np.testing.assert_array_equal(still_valid, valid)
    moved = 0
    for b in range(2):
        for n in range(9):
            box, mean = boxes[b, n].astype("float64"), 0
            for stage in range(3):
                probability, _, refined = run_stage(heads, stage, features[b], box, SIZES[b])
                moved += np.abs(refined - box).max() > 1
                mean, box = mean + probability[:2] / 3, refined
            clipped = np.clip(found[b, n, 0], 0, [*SIZES[b][::-1], *SIZES[b][::-1]])
            np.testing.assert_allclose(clipped, box, atol=1e-2)
            np.testing.assert_allclose(scores[b, n], mean, atol=1e-3)
    assert moved > 20


def test_losses_are_the_sum_over_stages_of_rising_overlap(case):
    features, boxes, valid, y = case
    heads = make_cascade()
    noise = np.random.default_rng(1).random((2, 12)).astype("float32")
    found = heads.compute_losses([features], boxes, valid, y, noise, SIZES)
    expected = np.zeros(2)
    regions = []
    for b in range(2):
        real = y["classes"][b] >= 0
        own = np.concatenate([boxes[b][valid[b]], y["boxes"][b][real]])
        regions += [(b, box.astype("float64")) for box in own]
    positives = []
    for stage in range(3):
        entropy, distance, positive, following = 0.0, 0.0, 0, []
        for b, box in regions:
            real = y["classes"][b] >= 0
            truth, classes = y["boxes"][b][real], y["classes"][b][real]
            overlaps = np.array([iou(box, t) for t in truth])
            best = truth[overlaps.argmax()].astype("float64")
            foreground = overlaps.max() >= IOUS[stage]
            probability, deltas, refined = run_stage(heads, stage, features[b], box, SIZES[b])
            entropy -= np.log(probability[classes[overlaps.argmax()] if foreground else 2])
            if foreground:
                size, centre = box[2:] - box[:2], (best[:2] + best[2:] - box[:2] - box[2:]) / 2
                target = np.concatenate([centre / size, np.log((best[2:] - best[:2]) / size)])
                distance += np.abs(deltas - target * WEIGHTS[stage]).sum()
                positive += 1
            if (refined[2:] > refined[:2]).all():
                following.append((b, refined))
        expected += np.array([entropy, distance]) / len(regions)
        positives.append(positive)
        regions = following
    assert positives[0] > 4 and len(set(positives)) > 1
    losses = [float(found[name]) for name in ("classification_loss", "box_loss")]
    np.testing.assert_allclose(losses, expected, rtol=2e-3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="differentiates by TensorFlow")
def test_a_stage_gives_the_features_its_share_of_the_gradient(case):
    import tensorflow as tf

    heads = make_cascade()
    features, boxes = tf.constant(case[0]), case[1]
    results = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(features)
            logits, _ = heads([features], boxes, stage=1, training=training)
            loss = tf.reduce_sum(logits**2)
        kernel = heads.box_heads[1].dense[0].kernel.value
        results.append((logits, *tape.gradient(loss, [features, kernel])))
    plain, shared = results
    np.testing.assert_allclose(shared[0], plain[0], rtol=1e-4)
    np.testing.assert_allclose(shared[1], plain[1] / 3, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(shared[2], plain[2], rtol=1e-4, atol=1e-6)


def test_config_keeps_the_stages(case):
    features, boxes, valid, _ = case
    heads = make_cascade(selection={"score_threshold": 0.2, "max_detections": 5})
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(heads))
    copy.build([(None, 16, 16, 3)])
    copy.set_weights(heads.get_weights())
    expected = heads.detect([features], boxes, valid, SIZES)
    assert (np.asarray(expected["num_detections"]) > 0).all()
    for name, value in copy.detect([features], boxes, valid, SIZES).items():
        np.testing.assert_array_equal(ops.convert_to_numpy(value), np.asarray(expected[name]))
    assert (copy.ious, copy.predictor.box_weights) == (IOUS, WEIGHTS[2])


def test_stages_that_do_not_fit_are_refused():
    head, predictor = ConvFCHead(hidden=(6,)), BoxPredictor(2, class_agnostic=True)
    pooler = RoIPooler((4,))
    with pytest.raises(ValueError, match="Received: 1 box heads, 1 predictors"):
        CascadeRoIHeads(pooler, [head], [predictor], (0.5, 0.6))
    with pytest.raises(ValueError, match=r"class_agnostic=\[False\]"):
        CascadeRoIHeads(pooler, [head], [BoxPredictor(2)], (0.5,))
    with pytest.raises(ValueError, match=r"Received: 0\.3, ious="):
        CascadeRoIHeads(pooler, [head], [predictor], (0.6,), RegionSampling(positive_iou=0.3))
