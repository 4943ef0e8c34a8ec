"""The second stage against NumPy written naively."""

import numpy as np
import pytest
from keras import ops

from detection.box_heads import ConvFCHead
from detection.box_losses import BoxLoss
from detection.box_predictor import BoxPredictor
from detection.poolers import RoIPooler
from detection.region_sampling import RegionSampling
from detection.roi_align import multilevel_roi_align
from detection.roi_heads import RoIHeads
from detection.selection import DetectionSelection
from tests.detection.test_rpn import iou, suppress

SIZES = np.array([[60, 64], [40, 50]], "int32")


def random_boxes(rng, *shape):
    corner = rng.uniform(0, 30, (*shape, 2))
    return np.concatenate([corner, corner + rng.uniform(4, 25, (*shape, 2))], -1).astype("float32")


def as_numpy(outputs):
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def test_sampling_labels_and_targets():
    rng = np.random.default_rng(0)
    proposals = random_boxes(rng, 2, 30)
    valid = rng.random((2, 30)) < 0.9
    y = {
        "boxes": random_boxes(rng, 2, 4),
        "classes": np.array([[2, 0, -1, -1], [1, 1, 2, 0]], "int32"),
        "is_crowd": np.zeros((2, 4), bool),
    }
    noise = rng.random((2, 34)).astype("float32")
    sampling = RegionSampling(samples=24, positive_fraction=0.25)
    samples = as_numpy(sampling(proposals, valid, y, noise, background=3))
    for image in range(2):
        real = y["classes"][image] >= 0
        truth, classes = y["boxes"][image][real], y["classes"][image][real]
        candidates = np.concatenate([proposals[image][valid[image]], truth])
        overlaps = np.array([[iou(c, t) for t in truth] for c in candidates])
        foreground = (overlaps.max(axis=1) >= 0.5).sum()
        # The ground truth itself is among the candidates.
        assert foreground >= len(truth)
        assert samples["positive"][image].sum() == min(foreground, 6)
        background = len(candidates) - foreground
        assert samples["valid"][image].sum() == min(foreground, 6) + min(
            background, 24 - min(foreground, 6)
        )
        names = ("boxes", "classes", "ground_truth", "positive", "valid")
        for box, label, target, positive, used in zip(*(samples[k][image] for k in names)):
            if not used:
                continue
            own = np.array([iou(box, t) for t in truth])
            assert positive == (own.max() >= 0.5)
            assert label == (classes[own.argmax()] if positive else 3)
            np.testing.assert_array_equal(target, truth[own.argmax()] if positive else box)


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("beta, weight", [(0.0, 1.0), (1.0, 2.5)])
def test_losses_are_those_of_the_naive_loop(class_agnostic, beta, weight):
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((2, 8, 4)).astype("float32")
    deltas = rng.standard_normal((2, 8, 1 if class_agnostic else 3, 4)).astype("float32")
    samples = {
        "classes": np.array([[0, 2, 3, 3, 3, 3, 3, 3], [1, 3, 3, 3, 3, 3, 3, 3]], "int32"),
        "positive": np.arange(8) < np.array([[2], [1]]),
        "valid": np.arange(8) < np.array([[8], [5]]),
        "boxes": random_boxes(rng, 2, 8),
        "ground_truth": random_boxes(rng, 2, 8),
    }
    loss = BoxLoss(beta=beta, weight=weight)
    predictor = BoxPredictor(3, class_agnostic=class_agnostic, box_loss=loss)
    found = predictor.compute_losses(logits, deltas, samples)
    entropy, distance = 0.0, 0.0
    for i in range(2):
        for j in range(8):
            label = samples["classes"][i, j]
            if samples["valid"][i, j]:
                exponents = np.exp(logits[i, j].astype("float64"))
                entropy -= np.log(exponents[label] / exponents.sum())
            if samples["positive"][i, j]:
                box, truth = samples["boxes"][i, j], samples["ground_truth"][i, j]
                size, centre = box[2:] - box[:2], (truth[:2] + truth[2:] - box[:2] - box[2:]) / 2
                target = np.concatenate(
                    [10 * centre / size, 5 * np.log((truth[2:] - truth[:2]) / size)]
                )
                for d in abs(deltas[i, j, 0 if class_agnostic else label] - target):
                    distance += 0.5 * d * d / beta if d < beta else d - 0.5 * beta
    assert float(found["classification_loss"]) == pytest.approx(entropy / 13, rel=1e-5)
    assert float(found["box_loss"]) == pytest.approx(weight * distance / 13, rel=1e-4)


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("min_size", [0.0, 12.0])
def test_detections_are_those_of_the_naive_loop(class_agnostic, min_size):
    rng = np.random.default_rng(2)
    proposals = random_boxes(rng, 2, 20)
    valid = np.arange(20) < np.array([[20], [11]])
    logits = (2 * rng.standard_normal((2, 20, 4))).astype("float32")
    deltas = rng.standard_normal((2, 20, 1 if class_agnostic else 3, 4)).astype("float32")
    predictor = BoxPredictor(3, class_agnostic=class_agnostic)
    selection = DetectionSelection(0.1, 0.3, 15, min_size)
    boxes, scores = predictor.boxes(deltas, proposals), predictor.scores(logits)
    outputs = as_numpy(selection(boxes, scores, valid, SIZES))
    dropped = 0
    for image in range(2):
        exponents = np.exp(logits[image])
        probability = exponents / exponents.sum(axis=1, keepdims=True)
        found = []
        height, width = SIZES[image]
        for k in range(3):
            boxes, scores = [], []
            for n in range(20):
                if not valid[image, n] or probability[n, k] <= 0.1:
                    continue
                delta = deltas[image, n, 0 if class_agnostic else k] / [10, 10, 5, 5]
                box = proposals[image, n]
                size = box[2:] - box[:2]
                centre = (box[:2] + box[2:]) / 2 + delta[:2] * size
                size = size * np.exp(delta[2:])
                corners = np.concatenate([centre - size / 2, centre + size / 2])
                corners = np.clip(corners, 0, [width, height, width, height])
                if min(corners[2:] - corners[:2]) < min_size:
                    dropped += 1
                    continue
                boxes.append(corners)
                scores.append(probability[n, k])
            kept = suppress(np.array(boxes), np.array(scores), 0.3) if boxes else []
            found += [(scores[i], k, boxes[i]) for i in kept]
        found.sort(key=lambda row: -row[0])
        found = found[:15]
        count = len(found)
        assert outputs["num_detections"][image] == count
        np.testing.assert_allclose(
            outputs["scores"][image, :count], [row[0] for row in found], rtol=1e-5
        )
        assert outputs["classes"][image, :count].tolist() == [row[1] for row in found]
        np.testing.assert_allclose(
            outputs["boxes"][image, :count], [row[2] for row in found], atol=1e-3
        )
        assert (outputs["classes"][image, count:] == -1).all()
    assert (dropped > 0) == (min_size > 0)


def test_pooled_features_reach_the_dense_layers_in_order_y_x_channel():
    rng = np.random.default_rng(3)
    features = [rng.standard_normal((1, s, s, 2)).astype("float32") for s in (16, 8)]
    heads = RoIHeads(RoIPooler((4, 8), size=2), ConvFCHead(hidden=(8,)), BoxPredictor(3))
    boxes = np.array([[[0, 0, 32, 32]]], "float32")
    logits, deltas = heads(features, boxes)

    pooled = multilevel_roi_align(features, boxes, (4, 8), output_size=2)
    hidden = ops.convert_to_numpy(pooled).reshape(1, -1)
    for layer in heads.box_head.dense:
        kernel, bias = layer.get_weights()
        hidden = np.maximum(hidden @ kernel + bias, 0)
    kernel, bias = heads.classifier.get_weights()
    np.testing.assert_allclose(ops.convert_to_numpy(logits)[0], hidden @ kernel + bias, atol=1e-5)
    assert tuple(deltas.shape) == (1, 1, 3, 4)


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match="num_classes=0"):
        BoxPredictor(num_classes=0)
