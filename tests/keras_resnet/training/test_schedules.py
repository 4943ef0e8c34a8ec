"""Schedules at the milestones that the recipes publish."""

import math

import keras
import numpy as np
import pytest

from keras_resnet.training.schedules import WarmupCosine, WarmupStep, scaled_learning_rate


def detectron2_1x():
    return WarmupStep(0.02, (60000, 80000), gamma=0.1, warmup_steps=1000, warmup_factor=0.001)


@pytest.mark.parametrize(
    "step, rate",
    [
        (0, 2e-5),
        (1, 0.02 * (0.001 * 0.999 + 0.001)),
        (500, 0.01001),
        (999, 0.02 * (0.001 * 0.001 + 0.999)),
        (1000, 0.02),
        (59999, 0.02),
        (60000, 0.002),
        (79999, 0.002),
        (80000, 0.0002),
        (89999, 0.0002),
    ],
)
def test_detectron2_1x_milestones(step, rate):
    assert float(detectron2_1x()(step)) == pytest.approx(rate, rel=1e-5)
    assert float(detectron2_1x()(keras.ops.convert_to_tensor(step))) == pytest.approx(rate, 1e-5)


def test_cifar_recipe_without_warmup():
    schedule = WarmupStep(0.1, (32000, 48000))
    rates = [float(schedule(s)) for s in (0, 31999, 32000, 47999, 48000, 64000)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)


def test_cosine_points():
    schedule = WarmupCosine(
        0.5, total_steps=1100, warmup_steps=100, warmup_factor=0.1, final_factor=0.02
    )
    expected = {
        0: 0.05,
        50: 0.275,
        100: 0.5,
        350: 0.5 * (0.02 + 0.98 * 0.5 * (1 + math.sqrt(0.5))),
        600: 0.5 * 0.51,
        1100: 0.01,
        5000: 0.01,
    }
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, rel=1e-5), step


def test_cosine_without_warmup_is_keras_cosine():
    keras_schedule = keras.optimizers.schedules.CosineDecay(0.3, 200, alpha=0.1)
    ours = WarmupCosine(0.3, total_steps=200, final_factor=0.1)
    for step in (0, 1, 77, 199, 200, 300):
        assert float(ours(step)) == pytest.approx(float(keras_schedule(step)), rel=1e-5)


@pytest.mark.parametrize("schedule", [detectron2_1x(), WarmupCosine(0.1, 50, 5, 0.2, 0.3)])
def test_config_round_trip(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == schedule.get_config()
    assert float(again(7)) == float(schedule(7))


def test_optimizer_asks_the_schedule_every_step():
    w = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(WarmupStep(1.0, (2,), warmup_steps=2, warmup_factor=0.5))
    optimizer.build([w])
    for _ in range(3):
        optimizer.apply([keras.ops.ones(())], [w])
    # 0.5 at step 0, 0.75 at step 1, 1.0 * 0.1 at step 2
    assert float(w.numpy()) == pytest.approx(-1.35)


def test_scaled_learning_rate():
    assert scaled_learning_rate(0.02, 4, 16) == pytest.approx(0.005)
    assert scaled_learning_rate(0.1, 8192, 256) == pytest.approx(3.2)


@pytest.mark.parametrize(
    "make, received",
    [
        (lambda: WarmupStep(0.1, (5, 3)), "boundaries="),
        (lambda: WarmupStep(0.1, (0,)), "boundaries="),
        (lambda: WarmupStep(0.1, (5,), gamma=0), "gamma=0"),
        (lambda: WarmupStep(-0.1, (5,)), "base_lr=-0.1"),
        (lambda: WarmupStep(0.1, (), warmup_factor=2), "warmup_factor=2"),
        (lambda: WarmupStep(0.1, (), warmup_steps=-1), "warmup_steps=-1"),
        (lambda: WarmupCosine(0.1, 10, 10), "total_steps=10"),
        (lambda: WarmupCosine(0.1, 10, final_factor=-1), "final_factor=-1"),
        (lambda: scaled_learning_rate(0.1, 0, 16), "batch=0"),
    ],
)
def test_refusals(make, received):
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        make()
