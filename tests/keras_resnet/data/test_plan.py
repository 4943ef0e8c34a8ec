"""The plan: what is drawn, from what it follows, and the settings that are refused."""

import numpy as np
import pydantic
import pytest

from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.plan import BatchPlan
from tests.keras_resnet.data.helpers import random_images

ALL = {
    "crop": "scale_jitter",
    "shorter_side": (40, 44),
    "rand_augment": {"num_ops": 2, "magnitude": 9},
    "brightness": 0.4,
    "contrast": 0.3,
    "saturation": 0.2,
    "hue": 0.1,
    "pca_lighting": 0.1,
    "random_erasing": 0.25,
}


def plan_of(count=40, training=True, **options):
    options = {"batch_size": 8, "image_size": 32, "crop": "pad_crop", "seed": 3, **options}
    return BatchPlan(random_images(count), ClassificationPipelineConfig(**options), training)


def many(plan, name, epochs=60):
    batches = [(e, b) for e in range(epochs) for b in range(plan.steps_per_epoch)]
    return np.concatenate([getattr(plan.batch(e, b), name) for e, b in batches])


def test_each_epoch_has_each_image_once_in_a_new_order():
    plan = plan_of()
    orders = [[plan.rows(e, b).tolist() for b in range(5)] for e in range(3)]
    for order in orders:
        assert sorted(np.concatenate(order)) == list(range(40))
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders[0] != [plan_of(seed=4).rows(0, b).tolist() for b in range(5)]
    still = plan_of(shuffle=False)
    assert still.rows(7, 1).tolist() == list(range(8, 16))


def test_repeats_are_augmented_differently():
    plan = plan_of(**{**ALL, "crop": "random_resized", "repeats": 4})
    for name in ("position", "area", "operations", "colour", "lighting"):
        for batch in range(5):
            rows = plan.batch(1, batch)
            groups = rows.index.reshape(2, 4)
            assert (groups == groups[:, :1]).all()
            values = getattr(rows, name).reshape(2, 4, -1)
            assert len(np.unique(values, axis=1)) == 2
            different = {tuple(np.round(v, 9)) for v in values.reshape(8, -1)}
            assert len(different) >= (6 if name == "operations" else 8)
    found = np.concatenate([plan.rows(1, b) for b in range(5)])
    assert len(np.unique(found)) == 10 and len(found) == 40


def test_switching_one_augmentation_on_leaves_the_others():
    base = plan_of(**ALL).batch(2, 1)
    for name, fields in (
        ("rand_augment", ("operations", "magnitude")),
        ("brightness", ()),
        ("pca_lighting", ("lighting",)),
        ("random_erasing", ("erased",)),
    ):
        options = {k: v for k, v in ALL.items() if k != name}
        other = plan_of(**options).batch(2, 1)
        for field in base._fields:
            if field in fields:
                assert getattr(other, field) is None
            elif not (name == "brightness" and field == "colour"):
                np.testing.assert_array_equal(getattr(other, field), getattr(base, field))


def test_ranges_of_what_is_drawn():
    plan = plan_of(**ALL)
    colour = many(plan, "colour")
    middle = np.array([1, 1, 1, 0])
    reach = np.abs(colour - middle).max(axis=0)
    np.testing.assert_allclose(reach, [0.4, 0.3, 0.2, 0.1], rtol=0.02)
    np.testing.assert_allclose(colour.mean(axis=0), middle, atol=0.02)
    orders = many(plan, "colour_order")
    assert len({tuple(order) for order in orders}) == 24
    assert set(np.unique(many(plan, "side"))) == {40, 41, 42, 43, 44}
    np.testing.assert_allclose(many(plan, "flip").mean(), 0.5, atol=0.04)
    erased = many(plan, "erased")[:, 2] > 0
    np.testing.assert_allclose(erased.mean(), 0.25, atol=0.04)
    # The first component has by far the largest share.
    np.testing.assert_allclose(many(plan, "lighting")[:, 0].std(), 255 * 0.0217 * 0.5675, rtol=0.1)
    assert plan_of(horizontal_flip=1.0).batch(0, 0).flip.all()
    assert plan_of(horizontal_flip=0.0).batch(0, 0).flip is None


def test_evaluation_draws_nothing():
    plan = plan_of(count=10, training=False, mixup=0.2, **ALL)
    assert plan.steps_per_epoch == 2 and plan.mixing(0, 0) is None
    rows = plan.batch(0, 1)
    assert rows.index.tolist() == [8, 9, -1, -1, -1, -1, -1, -1]
    assert all(value is None for value in rows[1:])
    assert plan.rows(0, 1).tolist() == [8, 9]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batchsize": 3}, "batchsize"),
        ({"crop": "middle"}, "crop"),
        ({"scale": (0.5, 0.2)}, "Received: scale=\\(0.5, 0.2\\)"),
        ({"scale": (0.5, 1.2)}, "share of the area"),
        ({"crop": "scale_jitter", "shorter_side": (200, 480)}, "must not be below `image_size`"),
        ({"eval_resize": 200}, "at least 224.*Received: eval_resize=200"),
        ({"crop": "resize_crop", "image_size": 96, "eval_crop": 64, "eval_resize": 80}, "least 96"),
        ({"rand_augment": {"magnitude": 31}}, "magnitude"),
        ({"rand_augment": {}, "trivial_augment": True}, "exclude each other"),
        ({"mixup": float("nan")}, "mixup"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_are_refused(options, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        ClassificationPipelineConfig(**options)


def test_settings_of_published_recipes():
    cifar = ClassificationPipelineConfig(image_size=32, crop="pad_crop")
    assert cifar.eval_size == (None, 32) and not cifar.mixes and not cifar.changes_colour
    second = ClassificationPipelineConfig(
        image_size=176, eval_resize=232, eval_crop=224, mixup=0.2, cutmix=1.0,
        trivial_augment=True, random_erasing=0.1, repeats=4,
    )  # fmt: skip
    assert second.eval_size == (232, 224) and second.mixes
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        cifar.seed = 3
