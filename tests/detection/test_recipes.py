"""The packaged recipes: their published numbers, and that each of them works when made small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import detection
from detection.config import Config
from detection.data import make_batches
from detection.datasets import open_dataset
from detection.evaluation import evaluate, summary_table
from detection.train import preprocessing_of
from detection.weights.infer import config_of
from detection.weights.state import State
from keras_resnet.training.config import available_configs
from keras_resnet.training.recipe import build_recipe_optimizer, build_schedule
from keras_resnet.training.variable_keys import variable_keys

DATA = Path(__file__).parents[1] / "data"
_THIRD = pytest.approx(1 / 9)  # smooth L1 of sigma 3
_FPN_ANCHORS = ((32,), (64,), (128,), (256,), (512,))
_SIDES_COCO = (640, 672, 704, 736, 768, 800)
_SIDES_VOC = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
_VOC_TRAIN = [("VOC2007", "trainval"), ("VOC2012", "trainval")]

_DETECTRON2 = {
    "model.backbone.depth": 50,
    "model.backbone.weights": "imagenet",
    "model.backbone.norm": "frozen",
    "model.backbone.freeze": "C2",
    "model.rpn.aspect_ratios": (0.5, 1, 2),
    "model.rpn.positive_iou": 0.7,
    "model.rpn.negative_iou": 0.3,
    "model.rpn.nms_threshold": 0.7,
    "model.rpn.samples": 256,
    "model.rpn.positive_fraction": 0.5,
    "model.rpn.beta": 0,
    "model.rpn.normalize_by": "fixed",
    "model.roi_heads.pooling": "align",
    "model.roi_heads.aligned": True,
    "model.roi_heads.samples": 512,
    "model.roi_heads.positive_fraction": 0.25,
    "model.roi_heads.positive_iou": 0.5,
    "model.roi_heads.box_weights": (10, 10, 5, 5),
    "model.roi_heads.beta": 0,
    "model.roi_heads.score_threshold": 0.05,
    "model.roi_heads.nms_threshold": 0.5,
    "model.roi_heads.max_detections": 100,
    "data.pipeline.batch_size": 16,
    "data.pipeline.max_side": 1333,
    "data.pipeline.horizontal_flip": 0.5,
    "train.optimizer": "sgd",
    "train.learning_rate": 0.02,
    "train.reference_batch": 16,
    "train.momentum": 0.9,
    "train.weight_decay": 1e-4,
    "train.decay": "all",
    "train.schedule": "step",
    "train.gamma": 0.1,
    "train.warmup_factor": 0.001,
}
_FPN = {
    "model.architecture": "fpn",
    "model.backbone.levels": ("C2", "C3", "C4", "C5"),
    "model.fpn_filters": 256,
    "model.rpn.anchor_sizes": _FPN_ANCHORS,
    "model.rpn.pre_nms": (2000, 1000),
    "model.rpn.post_nms": (1000, 1000),
    "model.roi_heads.pool_size": 7,
    "model.roi_heads.hidden": (1024, 1024),
    "model.roi_heads.canonical_size": 224,
    "model.roi_heads.canonical_level": 4,
    "model.roi_heads.level_epsilon": 1e-8,
}
_C4 = {
    "model.architecture": "c4",
    "model.backbone.levels": ("C4",),
    "model.rpn.anchor_sizes": ((32, 64, 128, 256, 512),),
    "model.rpn.pre_nms": (12000, 6000),
    "model.rpn.post_nms": (2000, 1000),
    "model.roi_heads.pool_size": 14,
}
_COCO = {
    **_DETECTRON2,
    "data.format": "coco",
    "data.pipeline.min_sides": _SIDES_COCO,
    "train.steps": 90000,
    "train.boundaries": (60000, 80000),
    "train.warmup_length": 1000,
}
_LONG = {"train.steps": 270000, "train.boundaries": (210000, 250000)}
_TORCHVISION = {
    "model.rpn.anchor_rounded": True,
    "model.rpn.anchor_sizes": _FPN_ANCHORS,
    "model.rpn.pre_nms": (2000, 1000),
    "model.rpn.post_nms": (2000, 1000),
    "model.rpn.min_size": 1e-3,
    "model.rpn.beta": _THIRD,
    "model.rpn.normalize_by": "sampled",
    "model.roi_heads.aligned": False,
    "model.roi_heads.sampling_ratio": 2,
    "model.roi_heads.level_epsilon": 1e-6,
    "model.roi_heads.beta": _THIRD,
    "data.pipeline.rounding": "floor",
    "data.pipeline.min_sides": (800,),
    "data.pipeline.max_side": 1333,
}

# What the sources say, by recipe.
PUBLISHED = {
    "coco_r50_fpn_1x": {**_COCO, **_FPN, "expected.AP": 0.379},
    "coco_r50_fpn_3x": {**_COCO, **_FPN, **_LONG, "expected.AP": 0.402},
    "coco_r101_fpn_3x": {
        **_COCO,
        **_FPN,
        **_LONG,
        "model.backbone.depth": 101,
        "expected.AP": 0.420,
    },
    "coco_r50_c4_1x": {**_COCO, **_C4, "expected.AP": 0.357},
    "voc0712_r50_c4": {
        **_DETECTRON2,
        **_C4,
        "data.format": "voc",
        "data.keep_difficult": True,
        "data.pipeline.min_sides": _SIDES_VOC,
        "train.steps": 18000,
        "train.boundaries": (12000, 16000),
        "train.warmup_length": 100,
        "expected.mAP07": 0.803,
    },
    "voc0712_r50_fpn": {
        **_DETECTRON2,
        **_FPN,
        "data.format": "voc",
        "data.pipeline.min_sides": (600,),
        "data.pipeline.max_side": 1000,
        "train.steps": None,
        "train.epochs": 12,
        "train.schedule_unit": "epochs",
        "train.boundaries": (9,),
        "train.learning_rate": 0.01,
        "train.warmup_length": 0,
        "expected.mAP07": 0.795,
    },
    "voc07_r101_c4_paper": {
        **_C4,
        "model.backbone.depth": 101,
        "model.backbone.stride_in": "1x1",
        "model.backbone.norm": "frozen",
        "model.rpn.anchor_sizes": ((128, 256, 512),),
        "model.rpn.post_nms": (2000, 300),
        "model.rpn.samples": 256,
        "model.rpn.beta": _THIRD,
        "model.roi_heads.pooling": "max",
        "model.roi_heads.samples": 128,
        "model.roi_heads.positive_fraction": 0.25,
        "model.roi_heads.box_weights": (1 / 0.1, 1 / 0.1, 1 / 0.2, 1 / 0.2),
        "model.roi_heads.beta": 1,
        "model.roi_heads.nms_threshold": 0.3,
        "model.roi_heads.refinements": 0,
        "model.roi_heads.context": False,
        "data.format": "voc",
        "data.pipeline.min_sides": (600,),
        "data.pipeline.max_side": 1000,
        "train.learning_rate": 0.001,
        "train.momentum": 0.9,
        "train.weight_decay": 5e-4,
        "expected.mAP07": 0.764,
    },
    "coco_r50_fpn_v2": {
        **_TORCHVISION,
        "model.backbone.weights": None,
        "model.backbone.norm": "sync_batch",
        "model.backbone.freeze": None,
        "model.fpn_norm": "sync_batch",
        "model.rpn.conv_depth": 2,
        "model.roi_heads.convolutions": (256, 256, 256, 256),
        "model.roi_heads.head_norm": "sync_batch",
        "model.roi_heads.hidden": (1024,),
        "data.pipeline.batch_size": 64,
        "data.pipeline.large_scale_jitter.size": 1024,
        "data.pipeline.large_scale_jitter.scale": (0.1, 2.0),
        "train.steps": 400 * (118287 // 64),
        "train.boundaries": (352 * (118287 // 64), 384 * (118287 // 64)),
        "train.learning_rate": 0.1,
        "train.weight_decay": 4e-5,
        "train.decay": "all",
        "expected.AP": 0.467,
    },
    "finetune_custom": {
        **_TORCHVISION,
        **{key: _FPN[key] for key in ("model.roi_heads.hidden", "model.roi_heads.pool_size")},
        "model.backbone.weights": None,
        "model.backbone.norm": "frozen",
        "model.backbone.norm_epsilon": 0,
        "model.backbone.freeze": "C2",
        "train.start_from": "fasterrcnn_resnet50_fpn_coco",
        "train.learning_rate": 0.005,
        "train.reference_batch": 2,
        "train.epochs": 10,
        "train.boundaries": (3, 6, 9),
        "train.schedule_unit": "epochs",
        "train.warmup_length": 1,
        "train.weight_decay": 5e-4,
        "expected": None,
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_numbers_are_those_of_the_source(name):
    config = detection.load_config(name)
    for key, value in PUBLISHED[name].items():
        found = config
        for part in key.split("."):
            found = getattr(found, part)
        assert found == value, key
    assert config.run.name in (name, "finetune")
    if config.expected is not None:
        assert 0 < config.expected.tolerance <= 0.015 and config.expected.source
    if config.data.format == "voc":
        for split, parts in (("train", _VOC_TRAIN), ("val", [("VOC2007", "test")])):
            found = [(p.root or config.data.root, p.split) for p in config.data.parts(split)]
            assert [(Path(root).name, part) for root, part in found] == parts
    elif name.startswith("coco"):
        for split in ("train", "val"):
            (part,) = config.data.parts(split)
            assert Path(part.images).name == f"{split}2017"
            assert Path(part.annotations).name == f"instances_{split}2017.json"


def test_schedules_by_hand():
    """The rate after 0, 500, ... steps, as the sources' warm-up and drops give it."""

    def rates(name, steps, per_epoch):
        config = detection.load_config(name)
        schedule = build_schedule(config.train, config.data.pipeline.batch_size, per_epoch)
        return [pytest.approx(float(schedule(step)), rel=1e-4) for step in steps]

    steps = (0, 500, 1000, 59999, 60000, 80000)
    assert rates("coco_r50_fpn_1x", steps, 7393) == [2e-5, 0.01001, 0.02, 0.02, 0.002, 0.0002]
    assert rates("voc0712_r50_c4", (50, 100, 12000, 16000), 1035) == [
        0.01001,
        0.02,
        0.002,
        0.0002,
    ]
    assert rates("voc0712_r50_fpn", (0, 9 * 1035 - 1, 9 * 1035), 1035) == [0.01, 0.01, 0.001]
    assert rates("voc07_r101_c4_paper", (0, 79999, 80000), 8276) == [0.001, 0.001, 0.0001]
    assert rates("finetune_custom", (0, 50, 100, 300, 600, 900), 100) == [
        5e-6,
        pytest.approx(0.0025025),
        *(0.005, 0.0005, 0.00005, 0.000005),
    ]


def test_changes_that_the_recipes_propose_are_valid():
    config = detection.load_config(
        "coco_r50_fpn_1x",
        [
            "data.format=tfds",
            "data.name=coco/2017",
            "data.train={split: train}",
            "data.val={split: validation}",
        ],
    )
    assert [config.data.parts(s)[0].split for s in ("train", "val")] == ["train", "validation"]
    parts = "[{split: train+validation}, {name: voc/2012, split: train+validation}]"
    config = detection.load_config(
        "voc0712_r50_c4",
        ["data.format=tfds", "data.root=null", "data.name=voc/2007", f"data.train={parts}"],
    )
    assert [part.name for part in config.data.parts("train")] == [None, "voc/2012"]
    improvements = ["refinements=1", "voting_iou=0.5", "context=true"]
    scales = "{scales: [200, 400, 600, 800, 1000], merge: features}"
    config = detection.load_config(
        "voc07_r101_c4_paper",
        [f"model.roi_heads.{text}" for text in improvements] + [f"model.test_time={scales}"],
    )
    assert config.model.roi_heads.voting_iou == 0.5 and config.model.test_time.scales[-1] == 1000
    # Eight times fewer images a batch, with all counts in batches.
    config = detection.load_config(
        "coco_r50_fpn_1x",
        [
            "data.pipeline.batch_size=2",
            "train.accumulate=8",
            "train.steps=720000",
            "train.boundaries=[480000, 640000]",
            "train.warmup_length=8000",
        ],
    )
    schedule = build_schedule(config.train, 2, steps_per_epoch=59144)
    rates = [float(schedule(step)) for step in (4000, 8000, 480000, 640000)]
    np.testing.assert_allclose(rates, [0.01001, 0.02, 0.002, 0.0002], rtol=1e-4)


def reduced(name, folder):
    """A recipe with narrow layers, few regions and 64-pixel images, for the sample set."""
    plain = detection.load_config(name).model_dump(mode="json")
    model, train = plain["model"], plain["train"]
    backbone, rpn, heads = (model[key] for key in ("backbone", "rpn", "roi_heads"))
    stages = len(backbone["stage_blocks"] or "2345")
    basic = backbone["depth"] in (18, None)
    backbone |= {
        "depth": None,
        "stage_blocks": [1] * stages,
        "block": "basic" if basic else "bottleneck",
        "width": 8,
        "weights": None,
    }
    if model["architecture"] == "fpn":
        model["fpn_filters"] = 8
        heads |= {"canonical_size": 56, "hidden": [8] * len(heads["hidden"])}
        heads["convolutions"] = [8] * len(heads["convolutions"])
    rpn |= {
        "anchor_sizes": [[size / 4 for size in level] for level in rpn["anchor_sizes"]],
        "pre_nms": [40, 30],
        "post_nms": [20, 10],
        "filters": 8,
        "samples": 16,
    }
    heads |= {"pool_size": heads["pool_size"] // 2, "samples": 8}
    heads |= {"max_detections": 5, "score_threshold": 0.0}
    sides = {"batch_size": 2, "min_sides": [64], "eval_min_side": 64, "max_side": 96}
    pipeline = plain["data"]["pipeline"] | sides
    if pipeline["large_scale_jitter"]:
        pipeline["large_scale_jitter"]["size"] = 64
    plain["data"] = {
        "format": "shapes",
        "root": str(folder / "shapes"),
        "shapes": {"num_train": 4, "num_val": 2, "image_size": 64},
        "pipeline": pipeline,
    }
    # Two steps in which something happens, whatever the length of the warm-up.
    train |= {"epochs": None, "steps": 2, "warmup_length": 0, "warmup_factor": 0.001}
    train |= {"reference_batch": 2, "start_from": None, "precision": "float32"}
    return Config.model_validate(plain)


def trained(name, folder, **compile_options):
    """A reduced recipe after two steps: the model, its losses and the names of what changed."""
    keras.utils.set_random_seed(0)
    config = reduced(name, folder)
    dataset = open_dataset(config.data, "train")
    categories = [{"id": c.id, "name": c.name} for c in dataset.categories]
    pipeline = config.data.pipeline
    model = detection.build_model(config.model, categories, preprocessing_of(pipeline))
    batches = make_batches(dataset, pipeline, training=True)
    model.compile(
        build_recipe_optimizer(config.train, pipeline.batch_size, batches.steps_per_epoch),
        **compile_options,
    )
    before = {key: np.array(v) for key, v in variable_keys(model).items()}
    history = model.fit(batches, steps_per_epoch=config.train.steps, verbose=0).history
    moved = {k for k, v in variable_keys(model).items() if not np.array_equal(before[k], v)}
    return model, {key: float(values[-1]) for key, values in history.items()}, moved


def sharpen(model):
    """Where scores are all but equal, as of an untrained model, their order would be chance."""
    _, found = outputs_of(model)
    scores = found["scores"][found["classes"] >= 0]
    if scores.max() > 1.5 * scores.min():
        return
    predictor = model.roi_heads.predictor
    for layer in (predictor.classifier, predictor.regressor, model.rpn.objectness):
        layer.kernel.assign(np.asarray(layer.kernel) * 5)


def outputs_of(model):
    """What the model returns on noise, without a graph."""
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), "uint8")
    found = model({"images": images, "image_sizes": np.full((2, 2), 64, "int32")})
    return images, {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recipes")


@pytest.mark.parametrize("name", available_configs("detection"))
def test_every_recipe_trains_saves_loads_and_detects(name, folder):
    model, losses, moved = trained(name, folder, run_eagerly=True)
    assert len(losses) == 5 and np.isfinite(list(losses.values())).all()
    backbone = reduced(name, folder).model.backbone
    early = {k for k in variable_keys(model) if k.split("/", 1)[-1].startswith(("stem", "stage2"))}
    kernels = {key for key in early if key.endswith("kernel")}
    assert len(kernels) >= 3
    if backbone.freeze == "C2":
        assert not moved & early
    else:
        assert moved & kernels == kernels
    statistics = {k for k in variable_keys(model) if k.endswith(("moving_mean", "gamma"))}
    assert bool(moved & statistics) == (backbone.norm != "frozen")
    for part in ("rpn/", "roi_heads/predictor/"):
        assert any(key.startswith(part) for key in moved)

    sharpen(model)
    loaded = detection.load(detection.save_model(model, folder / name))
    images, expected = outputs_of(model)
    assert (expected["num_detections"] > 0).all()
    for key, value in outputs_of(loaded)[1].items():
        np.testing.assert_array_equal(value, expected[key])
    # The images have the size that the recipe resizes to.
    for row, found in enumerate(loaded.detect(list(images))):
        count = expected["num_detections"][row]
        np.testing.assert_array_equal(found.classes, expected["classes"][row, :count])
        np.testing.assert_allclose(found.scores, expected["scores"][row, :count], rtol=1e-3)
        np.testing.assert_allclose(found.boxes, expected["boxes"][row, :count], atol=1e-2)


SCRIPT = """
import json, pathlib, sys
import numpy as np
import detection
from keras_resnet.training.variable_keys import variable_keys
from tests.detection import test_recipes as cases

folder, *names = sys.argv[1:]
losses = {}
for name in names:
    model, losses[name], moved = cases.trained(name, pathlib.Path(folder))
    assert any(key.startswith("rpn/") for key in moved)
    loaded = detection.load(detection.save_model(model, f"{folder}/{name}_jax"))
    arrays = variable_keys(loaded)
    for key, value in variable_keys(model).items():
        np.testing.assert_array_equal(arrays[key], value, err_msg=key)
    (found,) = loaded.detect([np.zeros((64, 64, 3), "uint8")])
    assert len(found.scores) > 0 and np.isfinite(found.boxes).all()
assert sys.modules["tensorflow"] is None
print(json.dumps(losses))
"""


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("coco_r50_fpn_v2", "voc07_r101_c4_paper"), id="one_of_each"),
        pytest.param(tuple(available_configs("detection")), marks=pytest.mark.slow, id="all"),
    ],
)
def test_recipes_on_jax_without_tensorflow(names, folder):
    done = subprocess.run(
        [sys.executable, "-c", "import tests.without_tensorflow\n" + SCRIPT, str(folder), *names],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    losses = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(losses) == set(names)
    for name in names:
        assert len(losses[name]) == 5 and np.isfinite(list(losses[name].values())).all()


@pytest.mark.parametrize(
    "recipe, source, others",
    [
        ("finetune_custom", "fasterrcnn_resnet50_fpn", {}),
        (
            "coco_r50_fpn_v2",
            "fasterrcnn_resnet50_fpn_v2",
            {  # over several devices, from scratch; the published weights are for fine-tuning
                "fpn_norm": "batch",
                "backbone": {"norm": "batch", "norm_epsilon": 1e-5, "freeze": "C2"},
                "roi_heads": {"head_norm": "batch"},
            },
        ),
    ],
)
def test_recipes_of_torchvision_build_torchvisions_detector(recipe, source, others):
    """The architecture that the names and shapes of its published weights belong to."""
    names = json.loads((DATA / "torchvision_fasterrcnn_names.json").read_text())[source]
    arrays = {name: np.broadcast_to(np.float32(0), shape) for name, shape in names.items()}
    norm = {"norm": "batch", "norm_epsilon": 1e-5} if others else {}
    state = State(arrays, source, **{"norm": "frozen", "norm_epsilon": 0.0, **norm})
    published, _ = config_of(state)
    found, expected = (
        config.model_dump() for config in (detection.load_config(recipe).model, published)
    )
    for key, value in others.items():
        found[key] = {**found[key], **value} if isinstance(value, dict) else value
    if others:
        found["backbone"]["zero_init_residual"] = expected["backbone"]["zero_init_residual"]
    assert found == expected


def test_missing_data_and_weights_are_named():
    config = detection.load_config("coco_r50_fpn_1x", ["data.train.images=nowhere/train2017"])
    with pytest.raises(FileNotFoundError, match="nowhere/train2017"):
        detection.train_detector(config, say=lambda line: None)
    with pytest.raises(ValueError, match=r"--set data\.train\.images="):
        open_dataset(detection.load_config("finetune_custom").data, "train")


TRUTH = {
    "images": [{"id": 1, "height": 50, "width": 50}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [0, 0, 20, 20],
            "area": 400,
            "iscrowd": 0,
        }
    ],
    "categories": [{"id": 1, "name": "x"}],
}


@settings(max_examples=25, deadline=None)
@given(value=st.floats(0, 1), tolerance=st.floats(0.001, 0.2))
def test_expected_figures_stand_beside_the_measured(value, tolerance):
    found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 16], "score": 0.9}]
    metrics = evaluate(TRUTH, found)  # IoU 0.8: right at 7 of 10 thresholds
    assert metrics["AP"] == pytest.approx(0.7)
    metrics["expected"] = {"AP": value, "mAP07": 1.0, "tolerance": tolerance, "source": "a paper"}
    lines = summary_table(metrics).splitlines()
    start = lines.index(f"expected of a paper, within {tolerance:.3f}")
    exact = round(metrics["AP"] - value, 6)
    verdict = "within" if abs(exact) <= tolerance else "above" if exact > 0 else "below"
    assert lines[start + 1] == f"  AP    {value:.3f}, measured 0.700: {verdict}"
    assert lines[start + 2] == "  mAP07 1.000, measured 1.000: within"
    assert not any("expected" in line for line in summary_table(evaluate(TRUTH, [])).splitlines())


def test_figures_without_ground_truth_are_not_measured():
    empty = {**TRUTH, "annotations": []}
    expected = {"AP": 0.5, "tolerance": 0.1, "source": "a paper"}
    text = summary_table({**evaluate(empty, []), "expected": expected})
    assert "AP    0.500, measured -: not measured" in text
