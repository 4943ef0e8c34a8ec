"""Operations, changes of colour and crops against arrays that torchvision 0.28 computed.

`torchvision_augment.npz` holds an image, what `torchvision.transforms` makes of it, and the
tables of strengths of its RandAugment and TrivialAugmentWide for images of 24 x 24 pixels.
"""

from pathlib import Path

import numpy as np
import pytest

from keras_resnet.data import operations
from keras_resnet.data.colour import jitter_colour
from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.evaluation import centre_crop, ten_crop
from keras_resnet.data.geometry import crop, resize

with np.load(Path(__file__).parents[2] / "data" / "torchvision_augment.npz") as _file:
    GOLDEN = dict(_file)
IMAGE = GOLDEN["image"]
THEIR_NAMES = GOLDEN["rand_names"].tolist()
# (RandAugment or TrivialAugment, its level that was used)
LEVELS = {"rand": 9, "trivial": 20}
COLOURS = ("brightness", "contrast", "saturation", "hue")


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("number", range(14), ids=list(operations.OPERATIONS))
def test_operations(kind, number):
    name = THEIR_NAMES[number]
    strength = GOLDEN[f"{kind}_table"][number, LEVELS[kind]]
    signs = [("plus", 1), ("minus", -1)] if GOLDEN[f"{kind}_signed"][number] else [("plus", 1)]
    for word, sign in signs:
        found = operations.apply_operations(IMAGE, [number], [sign * strength])
        np.testing.assert_array_equal(found, GOLDEN[f"{kind}_{name}_{word}"])
    assert len(THEIR_NAMES) == len(operations.OPERATIONS)


def test_operations_are_done_in_order():
    solarize, shear = THEIR_NAMES.index("Solarize"), THEIR_NAMES.index("ShearX")
    once = operations.apply_operations(IMAGE, [shear], [0.3])
    both = operations.apply_operations(IMAGE, [shear, solarize], [0.3, 100.0])
    expected = np.where(once >= 100, 255 - once, once)
    np.testing.assert_array_equal(both, expected)


def drawn(kind, count=60_000):
    rng = np.random.default_rng(0)
    if kind == "trivial":
        return operations.draw_trivial_augment(rng, count)
    options = {"num_ops": 3, "magnitude": 9}
    config = ClassificationPipelineConfig(image_size=24, rand_augment=options)
    return operations.draw_rand_augment(rng, count // 3, config)


@pytest.mark.parametrize("kind", LEVELS)
def test_what_is_drawn(kind):
    chosen, strength = drawn(kind)
    assert chosen.shape == strength.shape == ((20_000, 3) if kind == "rand" else (60_000, 1))
    chosen, strength = chosen.ravel(), strength.ravel()
    counts = np.bincount(chosen, minlength=14)
    np.testing.assert_allclose(counts, 60_000 / 14, rtol=0.1)
    table, signed = GOLDEN[f"{kind}_table"], GOLDEN[f"{kind}_signed"]
    for number in range(14):
        values = strength[chosen == number]
        allowed = table[number, [9]] if kind == "rand" else table[number]
        found, often = np.unique(values.round(5), return_counts=True)
        wanted = np.unique([allowed, -allowed] if signed[number] else allowed)
        np.testing.assert_allclose(found, np.unique(wanted.round(5)), atol=1e-4)
        if signed[number]:
            assert 0.45 < (values > 0).sum() / (values != 0).sum() < 0.55
        elif kind == "trivial" and len(np.unique(allowed)) == 31:
            np.testing.assert_allclose(often, len(values) / 31, rtol=0.3)


@pytest.mark.parametrize("key", [key for key in GOLDEN if key.startswith("colour_")])
def test_changes_of_colour(key):
    _, name, value = key.split("_")
    change = [1.0, 1.0, 1.0, 0.0]
    change[COLOURS.index(name)] = float(value)
    np.testing.assert_array_equal(jitter_colour(IMAGE, change, range(4)), GOLDEN[key])
    # The others change nothing, wherever they come.
    np.testing.assert_array_equal(jitter_colour(IMAGE, change, (3, 1, 2, 0)), GOLDEN[key])


def test_the_order_of_changes_matters():
    first = jitter_colour(IMAGE, (1.8, 0.3, 1, 0), (0, 1, 2, 3))
    second = jitter_colour(IMAGE, (1.8, 0.3, 1, 0), (1, 0, 2, 3))
    brighter = jitter_colour(IMAGE, (1.8, 1, 1, 0), (0, 1, 2, 3))
    np.testing.assert_array_equal(first, jitter_colour(brighter, (1, 0.3, 1, 0), (0, 1, 2, 3)))
    assert np.abs(first.astype(int) - second).max() > 5


@pytest.mark.parametrize("side, size", [(24, 20), (45, 33)])
def test_centre_crop(side, size):
    np.testing.assert_array_equal(centre_crop(IMAGE, side, size), GOLDEN[f"centre_{side}_{size}"])


def test_ten_crop():
    np.testing.assert_array_equal(ten_crop(IMAGE, 24, 19), GOLDEN["ten_24_19"])


@pytest.mark.parametrize("number, box", enumerate([(3, 5, 18, 15), (10, 0, 9, 13)]))
def test_resized_crops(number, box):
    part = crop(IMAGE, *box)
    np.testing.assert_array_equal(resize(part, 16, 16), GOLDEN[f"resized_{number}"])
    cubic = resize(part, 16, 16, "bicubic")
    np.testing.assert_array_equal(cubic, GOLDEN[f"resized_{number}_bicubic"])
