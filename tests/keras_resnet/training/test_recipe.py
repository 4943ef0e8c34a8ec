"""The optimisation part of configurations: what it makes and what it refuses."""

import keras
import numpy as np
import pydantic
import pytest

from keras_resnet.training.optimizer import SGD, AdamW
from keras_resnet.training.recipe import RecipeConfig, build_recipe_optimizer, build_schedule
from keras_resnet.training.schedules import WarmupCosine, WarmupStep


def rates(at, batch=256, per_epoch=100, **recipe):
    schedule = build_schedule(RecipeConfig(**recipe), batch, per_epoch)
    return [float(schedule(step)) for step in at]


def test_boundaries_in_steps_and_epochs_agree():
    steps = range(0, 1000, 37)
    in_steps = rates(steps, steps=1000, boundaries=(300, 700), warmup_length=200)
    in_epochs = rates(steps, epochs=10, boundaries=(3, 7), warmup_length=2, schedule_unit="epochs")
    by_hand = []
    for step in steps:
        warm = 0.001 + 0.999 * min(step / 200, 1)
        by_hand.append(0.1 * warm * 0.1 ** ((step >= 300) + (step >= 700)))
    assert in_steps == pytest.approx(by_hand, rel=1e-5)
    assert in_epochs == pytest.approx(by_hand, rel=1e-5)


def test_cosine():
    found = rates(
        [0, 50, 100, 325, 550, 1000, 2000],
        steps=1000,
        schedule="cosine",
        warmup_length=100,
        warmup_factor=0.5,
        final_factor=0.2,
    )
    half = 0.1 * (0.2 + 0.8 * 0.5)
    quarter = 0.1 * (0.2 + 0.8 * 0.5 * (1 + np.cos(np.pi / 4)))
    assert found == pytest.approx([0.05, 0.075, 0.1, quarter, half, 0.02, 0.02], rel=1e-5)


def test_constant_schedule_keeps_its_rate():
    assert rates([0, 5, 10**6], steps=10, schedule="constant") == pytest.approx([0.1] * 3)


def test_rate_is_scaled_by_batch_and_accumulation():
    assert rates([0], batch=64, steps=9, boundaries=(5,)) == pytest.approx([0.025])
    assert rates([0], batch=64, accumulate=8, steps=9, boundaries=(5,)) == pytest.approx([0.2])
    recipe = RecipeConfig(steps=9, schedule="plateau", reference_batch=32)
    assert build_schedule(recipe, 64, 3) == pytest.approx(0.2)


def test_a_run_shorter_than_its_warmup_reaches_the_rate():
    found = rates(range(4), steps=4, boundaries=(50,), warmup_length=400, warmup_factor=0.0)
    assert found == pytest.approx([0, 0.1 / 3, 0.2 / 3, 0.1], rel=1e-5)


def test_optimizers():
    sgd = build_recipe_optimizer(
        RecipeConfig(
            steps=10,
            boundaries=(5,),
            momentum=0.8,
            nesterov=True,
            weight_decay=0.02,
            decay="all",
            clip_norm=2.0,
            accumulate=4,
        ),
        batch_size=64,
        steps_per_epoch=5,
    )
    assert type(sgd) is SGD and isinstance(sgd._learning_rate, WarmupStep)
    assert (sgd.momentum, sgd.nesterov, sgd.weight_decay, sgd.decay) == (0.8, True, 0.02, "all")
    assert (sgd.global_clipnorm, sgd.gradient_accumulation_steps) == (2.0, 4)
    adamw = build_recipe_optimizer(
        RecipeConfig(steps=10, optimizer="adamw", schedule="cosine", weight_decay=0.05), 256, 5
    )
    assert type(adamw) is AdamW and isinstance(adamw._learning_rate, WarmupCosine)
    assert (adamw.weight_decay, adamw.decay) == (0.05, "kernels")
    plateau = build_recipe_optimizer(RecipeConfig(steps=10, schedule="plateau"), 256, 5)
    plateau.learning_rate = 0.5  # a callback may set it
    assert float(plateau.learning_rate) == 0.5


def test_accumulated_steps_of_a_weight():
    """Two batches make one update, at the rate of the second batch."""
    recipe = RecipeConfig(
        steps=4, boundaries=(3,), accumulate=2, reference_batch=2, momentum=0.0, weight_decay=0.0
    )
    optimizer = build_recipe_optimizer(recipe, batch_size=1, steps_per_epoch=4)
    weight = keras.Variable(1.0, name="kernel")
    optimizer.build([weight])
    found = []
    for gradient in (1.0, 3.0, 2.0, 4.0):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
        found.append(float(keras.ops.convert_to_numpy(weight)))
    # 0.1 until step 3, from there 0.01; the gradients are averaged.
    assert found == pytest.approx([1, 1 - 0.1 * 2, 0.8, 0.8 - 0.01 * 3], rel=1e-5)


def test_length():
    assert RecipeConfig(steps=7, boundaries=(5,)).total_steps(100) == 7
    assert RecipeConfig(epochs=7, boundaries=(5,)).total_steps(100) == 700


@pytest.mark.parametrize(
    "recipe, message",
    [
        ({"boundaries": (5,)}, "either `steps` or `epochs`"),
        ({"steps": 5, "epochs": 5, "boundaries": (5,)}, "either `steps` or `epochs`"),
        ({"steps": 5}, "needs `boundaries`"),
        ({"steps": 5, "schedule": "cosine", "boundaries": (3,)}, "`boundaries` has no effect"),
        ({"steps": 5, "schedule": "cosine", "gamma": 0.2}, "`gamma` has no effect"),
        ({"steps": 5, "boundaries": (3,), "patience": 3}, "`patience` has no effect"),
        ({"steps": 5, "boundaries": (3,), "final_factor": 0.1}, "`final_factor` has no effect"),
        ({"steps": 5, "boundaries": (3,), "warmup": "constant"}, "`warmup` has no effect"),
        ({"steps": 5, "boundaries": (3,), "warmup_factor": 0.1}, "`warmup_factor` has no effect"),
        ({"steps": 5, "schedule": "plateau", "warmup_length": 3}, "no warm-up"),
        (
            {"steps": 5, "optimizer": "adamw", "boundaries": (3,), "nesterov": True},
            "`nesterov` has no effect",
        ),
        ({"steps": 5, "boundaries": (3,), "steps_per_execution": 2}, "a multiple of"),
        ({"steps": 5, "boundaries": (3,), "learning_rat": 1}, "learning_rat"),
        ({"steps": 5, "boundaries": (3,), "learning_rate": float("nan")}, "learning_rate"),
        ({"steps": 5, "boundaries": (3,), "momentum": 1.5}, "momentum"),
    ],
)
def test_refusals(recipe, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        RecipeConfig(**recipe)
