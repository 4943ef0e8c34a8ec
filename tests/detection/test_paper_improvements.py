"""Box refinement, box voting and global context; with C4 and on JAX see test_architectures.py."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import detection
from detection.box_heads import ConvFCHead
from detection.box_predictor import BoxPredictor
from detection.poolers import RoIPooler
from detection.roi_heads import RoIHeads
from detection.selection import DetectionSelection
from keras_resnet.training.config_error import ConfigError
from keras_resnet.training.optimizer import SGD
from tests.detection.small_model import model_config, rectangles, small_model
from tests.detection.test_box_voting import vote
from tests.detection.test_roi_heads import as_numpy, random_boxes

TRUTH = np.array([30.0, 26, 60, 56], "float32")
SIZES = np.array([[80, 96]], "int32")
ALL = {"refinements": 1, "voting_iou": 0.5, "context": True, "score_threshold": 0.0}


def pointing_heads(class_agnostic, **options):
    """Heads that go half of the way to `TRUTH`, surer the nearer they are, and maps for them.

    The map says at every place how far the centre of `TRUTH` is, in thirtieths of a pixel; a
    region of 30 pixels so pools the offset that it should be moved by.
    """
    y, x = np.mgrid[0:20, 0:24] * 4.0 + 2.0
    features = [np.stack([45 - x, 41 - y], -1)[None].astype("float32") / 30]
    heads = RoIHeads(
        RoIPooler(strides=(4,), size=1),
        ConvFCHead(hidden=(4,)),
        BoxPredictor(2, class_agnostic=class_agnostic),
        selection=DetectionSelection(score_threshold=0.3, nms_threshold=0.3),
        **options,
    )
    heads.build([(None, 20, 24, 2)])
    # The positive and the negative part of the offset along x, and of that along y.
    parts = np.array([[1, -1, 0, 0], [0, 0, 1, -1]], "float32")
    heads.box_head.dense[0].set_weights([parts, np.zeros(4, "float32")])
    # Class 0 is right; class 1, less likely everywhere, moves the other way.
    logits = np.stack([[-9.0] * 4, [-20.0] * 4, [0.0] * 4], -1)
    heads.classifier.set_weights([logits, np.array([3.0, 1.0, 0.0])])
    half = np.stack([5 * parts[0], 5 * parts[1], np.zeros(4), np.zeros(4)], -1)
    deltas = half if class_agnostic else np.concatenate([half, -half], -1)
    heads.regressor.set_weights([deltas, np.zeros(deltas.shape[-1])])
    return heads, features


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_refinement_corrects_a_shifted_proposal(class_agnostic):
    shifted = (TRUTH + np.array([8, -4, 8, -4]))[None, None].astype("float32")
    valid = np.array([[True]])
    for refinements, error in ((0, 4.0), (1, 2.0), (3, 0.5)):
        heads, features = pointing_heads(class_agnostic, refinements=refinements)
        found = as_numpy(heads.detect(features, shifted, valid, SIZES))
        # All rounds have found the same object; the last is the surest.
        assert found["num_detections"][0] == 1 and found["classes"][0, 0] == 0
        assert np.abs(found["boxes"][0, 0] - TRUTH).max() == pytest.approx(error, abs=1e-3)
    before = as_numpy(pointing_heads(class_agnostic)[0].detect(features, shifted, valid, SIZES))
    assert found["scores"][0, 0] > before["scores"][0, 0] + 0.1


def test_refinement_gives_the_union_of_all_rounds():
    heads, features = pointing_heads(False, refinements=2)
    proposals = random_boxes(np.random.default_rng(0), 1, 6)
    valid = np.arange(6)[None] < 4
    boxes, scores, valid = heads.candidates(features, proposals, valid, SIZES)
    assert tuple(boxes.shape) == (1, 18, 2, 4) and tuple(scores.shape) == (1, 18, 2)
    once = heads.predictor.boxes(heads(features, proposals)[1], proposals)
    np.testing.assert_allclose(boxes[:, :6], once, rtol=1e-5)
    assert ops.convert_to_numpy(valid).reshape(3, 6).tolist() == [[True] * 4 + [False] * 2] * 3


@pytest.mark.parametrize("per_class", [True, False])
def test_selection_votes_with_what_it_suppresses(per_class):
    rng = np.random.default_rng(1)
    places = random_boxes(rng, 5)
    boxes = places[rng.integers(0, 5, (1, 40))] + rng.normal(0, 1.5, (1, 40, 4))
    boxes = boxes[:, :, None] + (rng.normal(0, 0.5, (1, 40, 3, 4)) if per_class else 0)
    boxes = np.clip(boxes, 0, 60).astype("float32")
    scores = rng.random((1, 40, 3)).astype("float32")
    valid = rng.random((1, 40)) < 0.8
    plain = as_numpy(DetectionSelection(0.2, 0.3, 30)(boxes, scores, valid, SIZES))
    voted = as_numpy(DetectionSelection(0.2, 0.3, 30, voting_iou=0.5)(boxes, scores, valid, SIZES))
    for name in ("scores", "classes", "num_detections"):
        np.testing.assert_array_equal(voted[name], plain[name])
    votes = np.where(valid[..., None] & (scores > 0.2), scores, 0)[0]
    expected = vote(plain["boxes"][0], plain["classes"][0], boxes[0], votes, 0.5)
    np.testing.assert_allclose(voted["boxes"][0], expected, atol=1e-4)
    assert plain["num_detections"][0] > 5 and np.abs(expected - plain["boxes"][0]).max() > 0.5


def context_heads(context=True):
    keras.utils.set_random_seed(1)
    heads = RoIHeads(
        RoIPooler((4, 8), size=2, canonical_size=32, canonical_level=3),
        ConvFCHead(hidden=(8,)),
        BoxPredictor(3),
        context=context,
    )
    heads.build([(None, None, None, 2), (None, None, None, 2)])
    for layer in (heads.classifier, heads.regressor):
        kernel, bias = layer.get_weights()
        layer.set_weights([np.random.default_rng(0).normal(size=kernel.shape), bias])
    return heads


def test_context_is_the_image_pooled_as_a_region():
    rng = np.random.default_rng(2)
    maps = [rng.standard_normal((2, 20 // s, 24 // s, 2)).astype("float32") for s in (1, 2)]
    sizes = np.array([[80, 96], [60, 50]], "int32")
    boxes, heads = random_boxes(rng, 2, 5), context_heads()
    logits, deltas = heads(maps, boxes, sizes)
    whole = np.array([[[0, 0, 96, 80]], [[0, 0, 50, 60]]], "float32")

    def hidden(regions):
        pooled = ops.convert_to_numpy(heads.pooler(maps, regions))
        kernel, bias = heads.box_head.dense[0].get_weights()
        return np.maximum(pooled.reshape(*pooled.shape[:2], -1) @ kernel + bias, 0)

    both = np.concatenate([hidden(boxes), np.tile(hidden(whole), (1, 5, 1))], -1)
    for layer, found in ((heads.classifier, logits), (heads.regressor, deltas)):
        kernel, bias = layer.get_weights()
        assert kernel.shape[0] == 16
        expected = (both @ kernel + bias).reshape(found.shape)
        np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-5)


@pytest.mark.parametrize("context", [True, False])
def test_only_with_context_far_pixels_matter(context):
    rng = np.random.default_rng(3)
    maps = [rng.standard_normal((1, 20 // s, 24 // s, 2)).astype("float32") for s in (1, 2)]
    other = [level.copy() for level in maps]
    for level in other:
        level[:, -3:, -3:] += 5.0
    heads, near = context_heads(context), np.array([[[4.0, 4, 30, 30]]], "float32")
    before, after = (ops.convert_to_numpy(heads(m, near, SIZES)[0]) for m in (maps, other))
    assert (np.abs(before - after).max() > 0.01) == context


def test_context_needs_the_sizes_of_the_images():
    maps = [np.zeros((1, 20 // s, 24 // s, 2), "float32") for s in (1, 2)]
    with pytest.raises(ValueError, match="image_sizes=None"):
        context_heads()(maps, np.zeros((1, 1, 4), "float32"))


@pytest.fixture(scope="module")
def model():
    """A detector with everything switched on, after one step."""
    keras.utils.set_random_seed(0)
    model = small_model(roi_heads=ALL)
    before = model.roi_heads.classifier.get_weights()[0]
    assert before.shape == (128, 4)
    model.compile(SGD(0.5, global_clipnorm=10.0))
    x, y = rectangles(4)
    logs = model.train_on_batch(x, y, return_dict=True)
    assert np.isfinite(logs["loss"])
    changed = model.roi_heads.classifier.get_weights()[0] - before
    # The rows of the region, and those of its context.
    assert np.abs(changed[:64]).max() > 1e-4 and np.abs(changed[64:]).max() > 1e-4
    return model


def assert_same(model, other, x, atol=1e-4):
    found, expected = (m.predict_on_batch(x) for m in (other, model))
    assert expected["num_detections"].min() > 5
    for name, value in expected.items():
        np.testing.assert_allclose(np.asarray(found[name]), np.asarray(value), atol=atol)


def test_switches_travel_with_the_model(model, tmp_path):
    x, _ = rectangles(3)
    detection.save_model(model, tmp_path / "model")
    loaded = detection.load(tmp_path / "model")
    assert (loaded.roi_heads.refinements, loaded.roi_heads.context) == (1, True)
    assert loaded.roi_heads.selection.voting_iou == 0.5
    assert_same(model, loaded, x)
    copy = detection.FasterRCNN.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    assert_same(model, copy, x)


def test_switches_of_inference_are_changed_at_loading(model, tmp_path):
    x, _ = rectangles(3)
    detection.save_model(model, tmp_path / "model")
    plain = small_model(roi_heads={**ALL, "refinements": 0, "voting_iou": None})
    plain.set_weights(model.get_weights())
    changes = ["roi_heads.refinements=0", "roi_heads.voting_iou=null"]
    assert_same(plain, detection.load(tmp_path / "model", overrides=changes), x)
    with pytest.raises(AssertionError):
        assert_same(plain, model, x)
    with pytest.raises(ValueError, match="predictor/classifier/kernel"):
        detection.load(tmp_path / "model", overrides=["roi_heads.context=false"])
    with pytest.raises(ConfigError, match=r"did you mean roi_heads\.refinements"):
        detection.load(tmp_path / "model", overrides=["roi_heads.refinement=1"])
    with pytest.raises(ValueError, match="not a configuration"):
        detection.load(tmp_path / "model.keras", trust=True, overrides=changes)


@pytest.mark.parametrize("switch", [{"refinements": 1}, {"context": True}])
def test_a_cascade_refines_boxes_itself(switch):
    with pytest.raises(ValueError, match=f"`{next(iter(switch))}` has no effect with `cascade`"):
        model_config(roi_heads={"cascade": {}, **switch})


def test_a_negative_number_of_rounds():
    with pytest.raises(ValueError, match="refinements=-1"):
        RoIHeads(RoIPooler(), ConvFCHead(), BoxPredictor(1), refinements=-1)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModel is TensorFlow's")
def test_a_served_model_has_all_of_it(model, tmp_path):
    """The export compares itself with `model.detect` and refuses to differ."""
    images = list(rectangles(2)[0]["images"])
    folder = detection.export_saved_model(model, tmp_path / "served", samples=images)
    check = json.loads((folder / "assets" / "detector.json").read_text())["self_check"]
    assert check["images"] == 2 and check["detections"] > 10
    assert check["max_box_difference"] < 0.5
