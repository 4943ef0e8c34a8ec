"""The second stage against NumPy written naively."""

import numpy as np
import pytest
from keras import ops

from detection.roi_heads import RoIHeads
from tests.detection.test_rpn import iou, suppress

SIZES = np.array([[60, 64], [40, 50]], "int32")


def random_boxes(rng, *shape):
    corner = rng.uniform(0, 30, (*shape, 2))
    return np.concatenate([corner, corner + rng.uniform(4, 25, (*shape, 2))], -1).astype("float32")


def make_heads(**options):
    return RoIHeads(num_classes=3, strides=(4, 8), hidden=(8,), **options)


def test_sampling_labels_and_targets():
    rng = np.random.default_rng(0)
    proposals = random_boxes(rng, 2, 30)
    valid = rng.random((2, 30)) < 0.9
    y = {
        "boxes": random_boxes(rng, 2, 4),
        "classes": np.array([[2, 0, -1, -1], [1, 1, 2, 0]], "int32"),
        "is_crowd": np.zeros((2, 4), bool),
    }
    heads = make_heads(samples=24, positive_fraction=0.25)
    noise = rng.random((2, 34)).astype("float32")
    samples = {
        name: ops.convert_to_numpy(value)
        for name, value in heads.sample_proposals(proposals, valid, y, noise).items()
    }
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
        for box, label, target, positive, used in zip(
            *(samples[k][image] for k in ("boxes", "classes", "targets", "positive", "valid"))
        ):
            if not used:
                continue
            own = np.array([iou(box, t) for t in truth])
            assert positive == (own.max() >= 0.5)
            assert label == (classes[own.argmax()] if positive else 3)
            if positive:
                best, size = truth[own.argmax()], box[2:] - box[:2]
                centre = (best[:2] + best[2:] - box[:2] - box[2:]) / 2
                expected = np.concatenate(
                    [10 * centre / size, 5 * np.log((best[2:] - best[:2]) / size)]
                )
                np.testing.assert_allclose(target, expected, atol=1e-3)
            else:
                assert (target == 0).all()


def test_losses_are_those_of_the_naive_loop():
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((2, 8, 4)).astype("float32")
    deltas = rng.standard_normal((2, 8, 3, 4)).astype("float32")
    samples = {
        "classes": np.array([[0, 2, 3, 3, 3, 3, 3, 3], [1, 3, 3, 3, 3, 3, 3, 3]], "int32"),
        "positive": np.arange(8) < np.array([[2], [1]]),
        "valid": np.arange(8) < np.array([[8], [5]]),
        "targets": rng.standard_normal((2, 8, 4)).astype("float32"),
    }
    heads = make_heads(samples=8, positive_fraction=0.5)
    found = heads.compute_losses(logits, deltas, samples)
    entropy, distance = 0.0, 0.0
    for i in range(2):
        for j in range(8):
            label = samples["classes"][i, j]
            if samples["valid"][i, j]:
                exponents = np.exp(logits[i, j].astype("float64"))
                entropy -= np.log(exponents[label] / exponents.sum())
            if samples["positive"][i, j]:
                distance += abs(deltas[i, j, label] - samples["targets"][i, j]).sum()
    assert float(found["classification_loss"]) == pytest.approx(entropy / 13, rel=1e-5)
    assert float(found["box_loss"]) == pytest.approx(distance / 13, rel=1e-5)


def test_detections_are_those_of_the_naive_loop():
    rng = np.random.default_rng(2)
    proposals = random_boxes(rng, 2, 20)
    valid = np.arange(20) < np.array([[20], [11]])
    logits = (2 * rng.standard_normal((2, 20, 4))).astype("float32")
    deltas = rng.standard_normal((2, 20, 3, 4)).astype("float32")
    heads = make_heads(score_threshold=0.1, nms_threshold=0.3, max_detections=15)
    outputs = {
        name: ops.convert_to_numpy(value)
        for name, value in heads.detect(logits, deltas, proposals, valid, SIZES).items()
    }
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
                box, delta = proposals[image, n], deltas[image, n, k] / [10, 10, 5, 5]
                size = box[2:] - box[:2]
                centre = (box[:2] + box[2:]) / 2 + delta[:2] * size
                size = size * np.exp(delta[2:])
                corners = np.concatenate([centre - size / 2, centre + size / 2])
                boxes.append(np.clip(corners, 0, [width, height, width, height]))
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


def test_pooled_features_reach_the_dense_layers_in_order_y_x_channel():
    rng = np.random.default_rng(3)
    features = [rng.standard_normal((1, s, s, 2)).astype("float32") for s in (16, 8)]
    heads = make_heads(pool_size=2)
    boxes = np.array([[[0, 0, 32, 32]]], "float32")
    logits, deltas = heads(features, boxes)
    from detection.roi_align import multilevel_roi_align

    pooled = multilevel_roi_align(features, boxes, (4, 8), output_size=2)
    hidden = ops.convert_to_numpy(pooled).reshape(1, -1)
    for layer in (heads.dense[0],):
        kernel, bias = layer.get_weights()
        hidden = np.maximum(hidden @ kernel + bias, 0)
    kernel, bias = heads.classifier.get_weights()
    np.testing.assert_allclose(ops.convert_to_numpy(logits)[0], hidden @ kernel + bias, atol=1e-5)
    assert tuple(deltas.shape) == (1, 1, 3, 4)


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match="num_classes=0"):
        RoIHeads(num_classes=0)
