"""A trained detector finds the same in an image and in its mirror image."""

import keras
import numpy as np
import pytest

import detection
from tests.detection.small_model import rectangles, small_model

STEPS = 220


@pytest.fixture(scope="module")
def trained():
    """A detector overfitted on 8 images and their mirror images, and the 8 images."""
    keras.utils.set_random_seed(0)
    model = small_model(roi_heads={"score_threshold": 0.3})
    x, y = rectangles(8)
    mirrored = y["boxes"].copy()
    mirrored[..., [0, 2]] = 96 - y["boxes"][..., [2, 0]]
    batch = (
        {
            "images": np.concatenate([x["images"], x["images"][:, :, ::-1]]),
            "image_sizes": np.concatenate([x["image_sizes"]] * 2),
        },
        {
            "boxes": np.concatenate([y["boxes"], mirrored]),
            "classes": np.concatenate([y["classes"]] * 2),
        },
    )
    rate = keras.optimizers.schedules.CosineDecay(2e-3, STEPS)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=10.0))
    for _ in range(STEPS):
        model.train_on_batch(*batch)
    model.preprocessing["min_side"] = 96
    return model, list(x["images"]), [b[k >= 0] for b, k in zip(y["boxes"], y["classes"])]


def distances(found, others):
    """Mean coordinate difference of every detection from the nearest of its class, in pixels."""
    for mine, theirs in zip(found, others):
        assert sorted(mine.classes) == sorted(theirs.classes)
        for box, k in zip(mine.boxes, mine.classes):
            yield np.abs(theirs.boxes[theirs.classes == k] - box).mean(axis=1).min()


def flipped_back(found):
    boxes = found.boxes.copy()
    boxes[:, [0, 2]] = found.size[1] - found.boxes[:, [2, 0]]
    return detection.Detections(**{**vars(found), "boxes": boxes})


def test_flipped_and_flipped_back(trained):
    model, images, boxes = trained
    found = model.detect(images)
    assert sum(map(len, found)) == sum(map(len, boxes)) > 8
    back = [flipped_back(d) for d in model.detect([image[:, ::-1] for image in images])]
    assert np.mean(list(distances(found, back))) < 1


@pytest.mark.parametrize("merge", ["features", "boxes"])
def test_with_flip_averaging_the_two_agree_even_better(trained, merge):
    model, images, _ = trained
    augment = detection.TestTimeAugmentation(flip=True, merge=merge)
    found = model.detect(images, augment=augment)
    assert sum(map(len, found)) > 8
    back = [
        flipped_back(d) for d in model.detect([image[:, ::-1] for image in images], augment=augment)
    ]
    # Both have seen the same two views; only proposals of one of them enter `features`.
    limit = 0.01 if merge == "boxes" else 0.5
    assert np.mean(list(distances(found, back))) < limit
