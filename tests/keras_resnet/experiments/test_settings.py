"""From a run of the grid to the configuration it is trained by."""

import pytest

from keras_resnet.classification.config import load_classifier_config
from keras_resnet.experiments.grid import Run, make_grid
from keras_resnet.experiments.settings import Settings, common_part, config_of, recipe_of

IMAGES = ["data.root=images.npz", "data.format=npz"]


def config(run, **settings):
    return config_of(run, Settings(**settings), IMAGES)


@pytest.mark.parametrize("kind, depth", [("plain", 20), ("residual", 56), ("highway", 110)])
def test_a_full_run_is_the_shipped_recipe(kind, depth):
    run = Run(kind, depth, "zero_pad" if kind == "residual" else None, 0)
    recipe = load_classifier_config(recipe_of(run), IMAGES)
    found = config(run)
    same = {"train": found.train, "data": found.data}
    assert same == {"train": recipe.train, "data": recipe.data}
    # Network and options too, but for the blocks, which are those of the depth.
    options = {**recipe.model.options, "stage_blocks": [(depth - 2) // 6] * 3}
    assert found.model.options == options
    assert found.model.name == recipe.model.name


def test_the_schedule_scales_with_the_steps():
    full, short = (config(Run("plain", 110, None, 0), steps=steps) for steps in (None, 3_000))
    assert (full.train.steps, full.train.boundaries) == (64_000, (32_000, 48_000))
    assert full.train.warmup_length == 400
    assert (short.train.steps, short.train.boundaries) == (3_000, (1_500, 2_250))
    assert short.train.warmup_length == 19  # 18.75
    assert config(Run("plain", 20, None, 0), steps=4).train.boundaries == (2, 3)


def test_depths_without_recipe_take_the_one_below():
    found = config(Run("residual", 26, "projection_all", 5))
    assert found.model.options["stage_blocks"] == [4, 4, 4]
    assert found.model.options["shortcut"] == "projection_all"
    assert (found.train.seed, found.train.warmup_length) == (5, 0)
    assert recipe_of(Run("plain", 146, None, 0)) == "cifar10_plain110"


def test_only_branches_beside_a_shortcut_start_at_zero():
    zero = {"overrides": ("model.options.zero_init_residual=true",)}
    found = {kind: config(Run(kind, 20, None, 0), **zero) for kind in ("plain", "highway")}
    found["residual"] = config(Run("residual", 20, "zero_pad", 0), **zero)
    starts = {kind: c.model.options["zero_init_residual"] for kind, c in found.items()}
    assert starts == {"plain": False, "highway": False, "residual": True}


def test_settings_reach_the_configuration():
    found = config(
        Run("plain", 20, None, 0),
        batch=64,
        init=0.02,
        clip_norm=2.0,
        weight_decay=0.0,
        learning_rate=0.05,
        precision="mixed_bfloat16",
        overrides=("train.evaluate_every=5",),
    )
    assert found.data.pipeline.batch_size == 64
    assert found.model.initializer == 0.02
    assert found.train.clip_norm == 2.0
    assert found.train.weight_decay == 0.0
    assert found.train.learning_rate == 0.05
    assert found.train.precision == "mixed_bfloat16"
    assert found.train.evaluate_every == 5


def test_each_remedy_changes_one_thing():
    base = config(Run("plain", 20, None, 0), steps=1000).model_dump()
    expected = {
        "xavier": {("model", "initializer"): "xavier"},
        "he_fan_out": {("model", "initializer"): "he_fan_out"},
        "normal": {("model", "initializer"): 0.01},
        "clip": {("train", "clip_norm"): 1.0},
        "no_l2": {("train", "weight_decay"): 0.0},
        "strong_l2": {("train", "weight_decay"): 5e-4},
        # As many images: 128,000.
        "batch64": {("train", "steps"): 2000, ("train", "boundaries"): (1000, 1500)},
        "batch256": {("train", "steps"): 500, ("train", "boundaries"): (250, 375)},
    }
    for run in make_grid(["plain"], [20], [], [0], list(expected)):
        if run.remedy is None:
            continue
        found = config(run, steps=1000).model_dump()
        changed = {
            (section, key): found[section][key]
            for section in ("model", "train")
            for key in base[section]
            if found[section][key] != base[section][key]
        }
        assert changed == expected[run.remedy], run.remedy
        batch = {"batch64": 64, "batch256": 256}.get(run.remedy, 128)
        assert found["data"]["pipeline"]["batch_size"] == batch


def test_what_runs_share_is_the_same_for_all():
    runs = make_grid(["plain", "residual", "highway"], [20, 110], ["A", "B"], [0, 1])
    shared = [common_part(config(run, steps=100)) for run in runs]
    assert all(part == shared[0] for part in shared)
    assert common_part(config(runs[0], steps=101)) != shared[0]
    assert common_part(config(runs[0], steps=100, init="xavier")) != shared[0]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"steps": 3}, "at least 4.*steps=3"),
        ({"batch": 0}, "batch=0"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"weight_decay": -1e-4}, "weight_decay=-0.0001"),
        ({"init": "orthogonal"}, "he_fan_in.*'orthogonal'"),
        ({"init": 0.0}, "init=0.0"),
        ({"overrides": ("train.steps=5",)}, "argument `steps`"),
        ({"overrides": ("model.options.shortcut=none",)}, "argument `shortcuts`"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Settings(**settings)


def test_what_the_configuration_refuses_is_named():
    with pytest.raises(ValueError, match=r"train\.precision.*'float8'"):
        config(Run("plain", 20, None, 0), precision="float8")
    with pytest.raises(ValueError, match=r"train\.clip_nrom.*did you mean train\.clip_norm"):
        config(Run("plain", 20, None, 0), overrides=("train.clip_nrom=1",))
