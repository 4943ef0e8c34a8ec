"""Several views of an image: what is merged, and that it comes back into the right place."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

import detection
from detection.model_config import ModelConfig
from detection.multi_view import MultiViewDetector, augmentation_of, multi_view
from detection.predict import detect
from detection.selection import DetectionSelection
from keras_resnet.training.variable_keys import variable_keys
from tests.detection.small_model import CATEGORIES, model_config, rectangles, small_model
from tests.detection.test_rpn import suppress
from tests.detection.test_scale_maxout import nearest

SIZES = np.array([[40, 60], [33, 50]], "int32")
PREPROCESSING = {"min_side": 64, "max_side": 128, "size_divisor": 32}


def tta(*arguments, **options):
    return detection.TestTimeAugmentation(*arguments, **options)


class BrightSpot(keras.Model):
    """Finds the box around the bright pixels of an image, so whatever is done to the image is
    done to the box."""

    def __init__(self):
        super().__init__(autocast=False)
        self.preprocessing = dict(PREPROCESSING)
        self.categories = CATEGORIES
        self.architecture = None
        self.roi_heads = SimpleNamespace(selection=DetectionSelection(max_detections=5))
        self.built = True

    def candidates(self, x):
        bright = ops.cast(x["images"][..., 0] > 127, "float32")
        sides = []
        for axis in (1, 2):  # extent along x, and along y
            line = ops.max(bright, axis=axis)
            place = ops.cast(ops.arange(ops.shape(line)[1]), "float32")
            low = ops.min(ops.where(line > 0, place, 1e6), axis=1)
            sides.append((low, ops.max(ops.where(line > 0, place + 1, 0.0), axis=1)))
        (x1, x2), (y1, y2) = sides
        box = ops.stack([x1, y1, x2, y2], axis=-1)[:, None, None]
        scores = ops.ones_like(box[..., 0]) * ops.array([0.2, 0.9, 0.1])
        return box, scores, scores[..., 0] > 0


@pytest.fixture(scope="module")
def spot():
    image = np.zeros((64, 80, 3), "uint8")
    image[20:36, 8:40] = 255
    return image


def test_on_an_equivariant_model_views_agree(spot):
    model = BrightSpot()
    plain = detect(BrightSpotAlone(model), [spot])[0]
    assert plain.boxes.tolist() == [[8, 20, 40, 36]] * 3
    mirrored = detect(model, spot, augment=tta(flip=True))
    np.testing.assert_array_equal(mirrored.boxes, plain.boxes)
    np.testing.assert_array_equal(mirrored.scores, plain.scores)
    # Larger views end at other pixels, less than one of the image away.
    found = detect(model, spot, augment=tta((64, 96, 128), flip=True))
    assert found.classes.tolist() == [1, 0, 2]
    np.testing.assert_allclose(found.boxes, plain.boxes, atol=1)


def test_images_of_other_sizes_and_batches_keep_their_boxes(spot):
    model, augment = BrightSpot(), tta((64, 128), flip=True)
    images = [spot, spot[:40], spot.repeat(2, 0).repeat(2, 1), spot]
    together = detect(model, images, batch_size=2, augment=augment)
    for found, image, scale in zip(together, images, (1, 1, 2, 1)):
        assert found.size == image.shape[:2]
        np.testing.assert_allclose(found.boxes[0], np.array([8, 20, 40, 36]) * scale, atol=2)
        alone = detect(model, image, augment=augment)
        np.testing.assert_allclose(alone.boxes, found.boxes, atol=1e-3)


class BrightSpotAlone(keras.Model):
    """The model above, called as ordinary detectors are."""

    def __init__(self, model):
        super().__init__(autocast=False)
        self.model, self.built = model, True
        for name in ("preprocessing", "categories", "architecture"):
            setattr(self, name, getattr(model, name))

    def call(self, x):
        found = self.model.candidates(x)
        return self.model.roi_heads.selection(*found, x["image_sizes"])


class Given(keras.Model):
    """Has one list of candidates for each view."""

    def __init__(self, candidates, selection):
        super().__init__(autocast=False)
        self.preprocessing, self.architecture = dict(PREPROCESSING), None
        self.roi_heads = SimpleNamespace(selection=selection)
        self.left = list(candidates)
        self.built = True

    def candidates(self, x):
        return self.left.pop(0)


def test_merging_boxes_equals_numpy():
    rng = np.random.default_rng(0)
    sizes = [SIZES, 2 * SIZES, SIZES, 2 * SIZES]  # of the views of `(64, 128)` and flip
    given = []
    for size in sizes:
        corner = rng.uniform(0, 0.6, (2, 12, 3, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, corner.shape)], -1)
        boxes = boxes * np.tile(size[:, ::-1], 2)[:, None, None]
        scores = rng.random((2, 12, 3)).astype("float32")
        given.append((boxes.astype("float32"), scores, rng.random((2, 12)) < 0.8))
    model = Given(given, DetectionSelection(0.3, 0.4, 25))
    detector = MultiViewDetector(model, tta((64, 128), flip=True))
    views = [{"image_sizes": size} for size in sizes]
    found = detector({"views": views, "image_sizes": SIZES})
    found = {name: ops.convert_to_numpy(value) for name, value in found.items()}
    for image in range(2):
        height, width = SIZES[image]
        rows = []
        for view, (boxes, scores, valid) in enumerate(given):
            scale = sizes[view][image, 0] / height
            for box, score in zip(boxes[image][valid[image]], scores[image][valid[image]]):
                for k in np.flatnonzero(score > 0.3):
                    x1, y1, x2, y2 = box[k] / scale
                    if view >= 2:
                        x1, x2 = width - x2, width - x1
                    rows.append((score[k], k, np.clip([x1, y1, x2, y2], 0, [width, height] * 2)))
        kept = []
        for k in range(3):
            own = [row for row in rows if row[1] == k]
            boxes, scores = np.array([row[2] for row in own]), np.array([row[0] for row in own])
            kept += [own[i] for i in suppress(boxes, scores, 0.4)]
        kept = sorted(kept, key=lambda row: -row[0])[:25]
        assert found["num_detections"][image] == len(kept) > 10
        for i, (score, k, box) in enumerate(kept):
            assert found["scores"][image, i] == pytest.approx(score)
            assert found["classes"][image, i] == k
            np.testing.assert_allclose(found["boxes"][image, i], box, atol=1e-3)


@pytest.fixture(scope="module")
def model():
    """Untrained, with scores that are not all alike, and every improvement."""
    keras.utils.set_random_seed(0)
    options = {"refinements": 1, "voting_iou": 0.5, "context": True, "score_threshold": 0.0}
    model = small_model(
        rpn={"pre_nms": [60, 60], "post_nms": [30, 30]},
        roi_heads={**options, "class_agnostic": True, "max_detections": 30},
    )
    for layer in (model.roi_heads.classifier, model.roi_heads.regressor, model.rpn.objectness):
        kernel, bias = layer.get_weights()
        layer.set_weights([30 * kernel, bias])
    return model


@pytest.fixture(scope="module")
def images():
    return list(rectangles(3)[0]["images"])


@pytest.mark.parametrize("merge", ["features", "boxes"])
def test_one_view_is_ordinary_inference(model, images, merge):
    for found, expected in zip(
        model.detect(images, augment=tta((64,), merge=merge)), model.detect(images)
    ):
        assert len(found) == len(expected) > 5
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        np.testing.assert_array_equal(found.classes, expected.classes)


def test_merging_features_equals_numpy(model, images):
    """Two scales and their mirror images, put together by hand from the model's parts."""
    heads, views = model.roi_heads, []
    for flip in (False, True):
        for side in (64, 96):
            image = images[1][:, ::-1] if flip else images[1]
            image = image.astype("float32")[None]
            image = ops.convert_to_numpy(ops.image.resize(image, (side, side)))
            views.append({"images": image, "image_sizes": np.array([[side, side]], "int32")})
    first = model.first_stage(views[0])
    _, proposals, valid, _ = model.proposals(first, views[0]["image_sizes"])
    proposals = ops.convert_to_numpy(proposals)
    whole = np.concatenate([np.array([[[0, 0, 64, 64]]], "float32"), proposals], 1)
    found = []
    for flip in (False, True):
        regions = np.stack(
            [64 - whole[..., 2], whole[..., 1], 64 - whole[..., 0], whole[..., 3]], -1
        )
        regions = regions if flip else whole
        scaled = [regions, regions * 1.5]
        maps = [model.feature_maps(view)[:3] for view in views[2 * flip : 2 * flip + 2]]
        every = [ops.convert_to_numpy(heads.vectors(m, b)) for m, b in zip(maps, scaled)]
        assert set(nearest(scaled, 64).reshape(-1)) == {0, 1}
        vector = np.maximum(*every)
        vector = np.concatenate(
            [vector[:, 1:], np.broadcast_to(vector[:, :1], vector[:, 1:].shape)], -1
        )
        logits, deltas = (ops.convert_to_numpy(t) for t in heads.predictor(vector[0]))
        boxes = ops.convert_to_numpy(heads.predictor.boxes(deltas[None], regions[:, 1:]))
        if flip:
            boxes = np.stack(
                [64 - boxes[..., 2], boxes[..., 1], 64 - boxes[..., 0], boxes[..., 3]], -1
            )
        probability = np.exp(logits - logits.max(-1, keepdims=True))
        found.append((boxes, probability[None] / probability.sum(-1)[None, :, None]))
    boxes, scores = (np.mean(parts, axis=0) for parts in zip(*found))

    detector = MultiViewDetector(model, tta((64, 96), flip=True, merge="features"))
    merged = detector._by_features(views, views[0]["image_sizes"])
    count = proposals.shape[1]
    assert tuple(merged[0].shape) == (1, 2 * count, 1, 4)  # and the refined ones
    real = ops.convert_to_numpy(valid)[0]
    np.testing.assert_allclose(merged[0][0, :count][real], boxes[0][real], atol=0.02)
    np.testing.assert_allclose(merged[1][0, :count][real], scores[0][real, :3], atol=1e-4)


def test_the_configuration_says_what_detect_does(images, tmp_path):
    keras.utils.set_random_seed(0)
    values = model_config(roi_heads={"score_threshold": 0.0}).model_dump()
    values["test_time"] = {"flip": True}
    model = detection.build_model(ModelConfig(**values), CATEGORIES, PREPROCESSING)
    assert augmentation_of(model) == tta(flip=True)
    assert augmentation_of(model, False) is None
    expected = model.detect(images[1])
    once = model.detect(images[1], augment=False)
    assert len(once) > 0 and not np.array_equal(once.scores, expected.scores)
    given = model.detect(images[1], augment=tta(flip=True))
    np.testing.assert_array_equal(given.boxes, expected.boxes)
    # What was compiled for it is used again; it is neither saved nor a part of the model.
    assert multi_view(model, augmentation_of(model)) is multi_view(model, tta(flip=True))
    folder = detection.save_model(model, tmp_path / "saved")
    loaded = detection.load(folder)
    assert variable_keys(loaded).keys() == variable_keys(model).keys()
    assert augmentation_of(loaded) == tta(flip=True)
    assert augmentation_of(detection.load(folder, overrides=["test_time=null"])) is None
    model.save(tmp_path / "model.keras")
    copy = detection.load(tmp_path / "model.keras", trust=True)
    assert augmentation_of(copy) == tta(flip=True)
    with pytest.raises(ValueError, match=r"cannot be exported.*test_time=null.*'flip': True"):
        detection.export_saved_model(model, tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_views_follow_the_sizes_of_the_model():
    model = SimpleNamespace(preprocessing=dict(PREPROCESSING), roi_heads=None)
    first = multi_view(model, tta(flip=True))
    assert [view.min_side for view in first.views] == [64, 64]
    assert multi_view(model, tta(flip=True)) is first
    model.preprocessing["min_side"] = 96
    second = multi_view(model, tta(flip=True))
    assert [(view.min_side, view.flip) for view in second.views] == [(96, False), (96, True)]


def test_a_cascade_merges_boxes_only(images):
    few = {"pre_nms": [30, 30], "post_nms": [20, 20]}
    model = small_model(rpn=few, roi_heads={"cascade": {}, "score_threshold": 0.0})
    with pytest.raises(ValueError, match="CascadeRoIHeads"):
        model.detect(images[0], augment=tta(flip=True, merge="features"))
    assert len(model.detect(images[0], augment=tta(flip=True))) > 0


def test_what_is_no_augmentation(model, images):
    with pytest.raises(ValueError, match="augment=True"):
        model.detect(images[0], augment=True)


@pytest.mark.parametrize(
    "test_time, message",
    [
        ({}, "leave it out"),
        ({"scales": [64, 64]}, "differ from each other"),
        ({"flip": True, "merge": "max"}, "merge"),
    ],
)
def test_configurations_that_make_no_sense(test_time, message):
    values = model_config().model_dump()
    with pytest.raises(ValueError, match=message):
        ModelConfig(**{**values, "test_time": test_time})


def test_a_cascade_has_no_features_to_merge():
    values = model_config(roi_heads={"cascade": {}}).model_dump()
    with pytest.raises(ValueError, match="merge: boxes"):
        ModelConfig(**{**values, "test_time": {"flip": True, "merge": "features"}})
