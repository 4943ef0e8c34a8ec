"""The packaged configurations, and what is refused in one's own."""

import re

import numpy as np
import pytest

import detection
from detection.config import BackboneConfig, ModelConfig, TrainConfig
from keras_resnet.training.config import available_configs, dump_config
from keras_resnet.training.recipe import build_schedule

CATEGORIES = [{"id": 1, "name": "a"}, {"id": 5, "name": "b"}]


@pytest.mark.parametrize("name", available_configs("detection"))
def test_packaged_configs_read_back_the_same(name, tmp_path):
    config = detection.load_config(name)
    again = tmp_path / "copy.yaml"
    again.write_text(dump_config(config), encoding="utf-8")
    assert detection.load_config(again) == config


@pytest.mark.parametrize("name", ["quickstart", "bccd", "coco_r50_fpn_1x"])
def test_packaged_configs_build(name):
    config = detection.load_config(name, ["model.backbone.weights=null"])
    model = detection.build_model(config.model, CATEGORIES)
    assert model.count_params() > 10_000
    anchors = config.model.rpn
    per_place = len(anchors.aspect_ratios) * len(anchors.anchor_sizes[0])
    assert model.rpn.objectness.kernel.shape[-1] == per_place
    assert model.rpn.deltas.kernel.shape[-1] == 4 * per_place
    assert model.roi_heads.classifier.kernel.shape == (config.model.roi_heads.hidden[-1], 3)
    assert model.class_names == ["a", "b"]
    assert model.compute_dtype == "float32"


@pytest.mark.parametrize(
    "override, message",
    [
        ("train.stepz=3", "train.stepz: unknown key; did you mean train.steps?"),
        ("model.rpn.pre_nm=[1, 2]", "did you mean model.rpn.pre_nms?"),
        ("data.pipeline.batchsize=3", "did you mean data.pipeline.batch_size?"),
        ("batch_size=3", "did you mean data.pipeline.batch_size?"),
        ("run.root=a", "run.root: unknown key; did you mean run.project?"),
        ("data.pipeline.flip=1", "did you mean data.pipeline.horizontal_flip?"),
        ("model.backbone.name=a", "did you mean model.backbone.depth?"),
        ("train.lr=1", "train.lr: unknown key; did you mean train.learning_rate?"),
        ("data.batch=3", "data.batch: unknown key; did you mean data.pipeline.batch_size?"),
        ("model.nms=1", "model.rpn.nms_threshold or model.roi_heads.nms_threshold?"),
        ("train.name=a", "train.name: unknown key; valid keys here: accumulate, boundaries"),
        ("model.num_classes=3", "the classes are those of the data; valid keys here: arch"),
        ("train.steps=0", "train.steps: must be above 0"),
        ("train.learning_rate=fast", "train.learning_rate: .*'fast'"),
        ("train.precision=float8", "train.precision: .*mixed_bfloat16"),
        ("train.epochs=3", "give either `steps` or `epochs`"),
        ("train.steps=null", "give either `steps` or `epochs`"),
        ("data.format=jolo", "data.format: .*'shapes', 'coco', 'voc', 'yolo', 'csv' or 'tfds'"),
        ("data.pipeline.max_side=4", "`max_side` must be at least the largest shorter side"),
        ("model.backbone.depth=18", "give either `depth` or `stage_blocks`"),
        ("model.backbone.weights=imagenet", "`weights` are published for a `depth` only"),
        ("model.backbone.norm=layer", "model.backbone.norm: .*'layer'"),
    ],
)
def test_mistakes_are_named(override, message):
    with pytest.raises(ValueError, match=message):
        detection.load_config("quickstart", [override])


def test_a_published_depth_fixes_width_and_block():
    with pytest.raises(ValueError, match="`depth` fixes them"):
        BackboneConfig(depth=50, block="bottleneck")
    assert BackboneConfig(depth=50).stage_blocks is None


def test_without_weights_changes_nothing_else():
    config = ModelConfig(backbone=BackboneConfig(depth=50, weights="imagenet", norm="frozen"))
    expected = config.model_dump()
    expected["backbone"]["weights"] = None
    assert config.without_weights().model_dump() == expected
    assert config.backbone.weights == "imagenet"


def test_defaults_are_those_of_the_usual_recipe():
    """The numbers of detectron2's Faster R-CNN with a feature pyramid."""
    config = ModelConfig(backbone=BackboneConfig(depth=50))
    assert config.rpn.anchor_sizes == ((32,), (64,), (128,), (256,), (512,))
    assert config.rpn.aspect_ratios == (0.5, 1.0, 2.0)
    assert (config.rpn.pre_nms, config.rpn.post_nms) == ((2000, 1000), (1000, 1000))
    assert (config.rpn.nms_threshold, config.rpn.samples) == (0.7, 256)
    assert (config.rpn.positive_iou, config.rpn.negative_iou) == (0.7, 0.3)
    heads = config.roi_heads
    assert (heads.hidden, heads.samples, heads.positive_fraction) == ((1024, 1024), 512, 0.25)
    assert heads.box_weights == (10.0, 10.0, 5.0, 5.0)
    assert (heads.score_threshold, heads.nms_threshold, heads.max_detections) == (0.05, 0.5, 100)
    train = TrainConfig(steps=90000, boundaries=(60000, 80000))
    assert (train.learning_rate, train.reference_batch, train.momentum) == (0.02, 16, 0.9)
    assert (train.weight_decay, train.warmup_length, train.warmup_factor) == (1e-4, 1000, 0.001)


def test_warm_up_counts_in_the_unit_of_the_schedule():
    epochs = TrainConfig(epochs=12, boundaries=(9,), schedule_unit="epochs", learning_rate=0.01)
    assert epochs.warmup_length == 0  # a thousand epochs of warm-up are nobody's default
    schedule = build_schedule(epochs, batch_size=16, steps_per_epoch=100)
    rates = [round(float(schedule(step)), 6) for step in (0, 899, 900)]
    assert rates == [0.01, 0.01, 0.001]
    accumulated = TrainConfig(steps=90000, boundaries=(60000, 80000), accumulate=8)
    schedule = build_schedule(accumulated, batch_size=2, steps_per_epoch=100)
    rates = [round(float(schedule(step)), 8) for step in (0, 500, 1000, 60000, 80000)]
    assert rates == [0.00002, 0.01001, 0.02, 0.002, 0.0002]


def test_anchor_sizes_must_fit_the_levels():
    config = detection.load_config("quickstart", ["model.rpn.anchor_sizes=[[16], [32]]"])
    with pytest.raises(ValueError, match=r"`model.rpn.anchor_sizes` .*Received: \(\(16.0,\)"):
        detection.build_model(config.model, CATEGORIES)


@pytest.mark.parametrize(
    "override, message",
    [
        ("train.momentum=0.5", "`momentum` has no effect"),
        ("train.boundaries=[5]", "`boundaries` has no effect"),
        ("train.schedule=step", "needs `boundaries`"),
        ("train.schedule=plateau", "train.schedule: must be 'step', 'cosine' or"),
        ("train.nesterov=true", "`nesterov` has no effect"),
        ("train.steps_per_execution=3", "multiple of `steps_per_execution`"),
        ("data.name=voc/2007", "name: not used by data of the format 'shapes'"),
        ("data.train=[{split: a}]", "split: not used by data of the format 'shapes'"),
        ("data.train=[]", "`train` and `val` need at least one part"),
        ("data.train=[{}, {splt: a}]", "data.train.1.splt: unknown key; did you mean data.train.1"),
        ("data.train={splt: a}", "data.train.splt: unknown key; did you mean data.train.split?"),
        ("data.train=foo", "a section of keys (root, name, images, annotations, split). Received"),
        ("data.keep_difficult=false", "keep_difficult: not used by data of the format 'shapes'"),
        ("expected.AP=null", "give at least one of `AP`, `AP50` and `mAP07`"),
        ("expected.AP=71.5", "expected.AP: must be at most 1."),
        ("expected.AP05=0.7", "expected.AP05: unknown key; did you mean expected.AP50?"),
        ("model.backbone.levels=[C2, C4]", "consecutive stages"),
        ("model.roi_heads.nms_threshold=7", "nms_threshold: must be at most 1."),
        ("model.rpn.positive_fraction=-1", "positive_fraction: must be at least 0."),
        ("model.rpn.positive_iou=0.2", "`negative_iou` must be above 0 and at most `positive_iou`"),
        ("model.rpn.negative_iou=0", "`negative_iou` must be above 0 and at most `positive_iou`"),
    ],
)
def test_values_without_effect_or_sense_are_refused(override, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        detection.load_config("quickstart", [override])


def test_seed_of_the_training_is_that_of_the_data_and_of_the_sampling():
    assert detection.load_config("quickstart").data.pipeline.seed is None
    config = detection.load_config("quickstart", ["model.backbone.stage_blocks=[1, 1, 1]"])
    states = [
        np.array(detection.build_model(config.model, CATEGORIES, seed=s).seed_generator.state)
        for s in (0, 1)
    ]
    assert (states[0] != states[1]).any()


def test_stem_reaches_a_published_depth():
    options = {"stem": {"kernel_size": 3, "stride": 1, "pool": False}}
    config = ModelConfig(backbone=BackboneConfig(depth=18, **options))
    model = detection.build_model(config, CATEGORIES)
    assert model.roi_heads.strides == (1, 2, 4, 8)


@pytest.mark.parametrize(
    "section, message",
    [
        ({"fpn_filters": 64}, "`fpn_filters` has no effect with `architecture: c4`"),
        ({"roi_heads": {"hidden": [64]}}, "`hidden` has no effect"),
        ({"roi_heads": {"convolutions": [64]}}, "`convolutions` has no effect"),
        ({"roi_heads": {"cascade": {}}}, "`cascade` has no effect"),
        ({"roi_heads": {"canonical_size": 56}}, "`canonical_size` has no effect"),
        ({"backbone": {"levels": ["C5"]}}, "[C4]; leave them out"),
        ({"backbone": {"depth": 18, "family": "SEResNet"}}, "there is no SEResNet18"),
        ({"backbone": {"depth": None, "stage_blocks": [2]}}, "two stages at least"),
        ({"architecture": "c5"}, "'fpn', 'c4' or 'dc5'"),
    ],
)
def test_options_that_c4_does_not_use_are_refused(section, message):
    values = {"architecture": "c4", **section}
    values["backbone"] = {"depth": 50, **section.get("backbone", {})}
    with pytest.raises(ValueError, match=re.escape(message)):
        ModelConfig.model_validate(values)


@pytest.mark.parametrize(
    "heads, message",
    [
        ({"pooling": "max", "sampling_ratio": 1}, "`sampling_ratio` has no effect with `pooling"),
        ({"pooling": "max", "aligned": False}, "`aligned` has no effect"),
        ({"max_samples": 3}, "`max_samples` has no effect without `sampling_ratio: 0`"),
        ({"head_norm": "batch"}, "`head_norm` has no effect without `convolutions`"),
        ({"box_loss": "giou", "beta": 0.5}, "`beta` has no effect with `box_loss: giou`"),
        ({"soft_nms": {}, "nms_threshold": 0.3}, "`nms_threshold` has no effect"),
        ({"soft_nms": {"method": "linear", "sigma": 1.0}}, "`sigma` has no effect"),
        ({"cascade": {}, "positive_iou": 0.6}, "`positive_iou` has no effect with `cascade`"),
        ({"cascade": {}, "box_weights": [1, 1, 1, 1]}, "`box_weights` has no effect"),
        ({"cascade": {}, "class_agnostic": False}, "`class_agnostic: true`"),
        ({"cascade": {"ious": [0.5]}}, "one entry for each stage"),
    ],
)
def test_options_of_heads_without_effect_are_refused(heads, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ModelConfig.model_validate({"backbone": {"depth": 50}, "roi_heads": heads})


def test_c4_and_dc5_start_from_their_own_defaults():
    c4 = ModelConfig(architecture="c4", backbone=BackboneConfig(depth=50))
    assert c4.backbone.levels == ("C4",)
    assert c4.rpn.anchor_sizes == ((32, 64, 128, 256, 512),)
    assert (c4.rpn.pre_nms, c4.rpn.post_nms) == ((12000, 6000), (2000, 1000))
    assert c4.roi_heads.pool_size == 14
    dc5 = ModelConfig.model_validate(
        {"architecture": "dc5", "backbone": {"stage_blocks": [1, 1]}, "rpn": {"pre_nms": [9, 8]}}
    )
    assert dc5.backbone.levels == ("C3",) and dc5.rpn.pre_nms == (9, 8)
    assert dc5.rpn.post_nms == (2000, 1000) and dc5.roi_heads.pool_size == 7
    for config in (c4, dc5):
        # What is written to a file says everything and is read back equal.
        assert ModelConfig.model_validate(config.model_dump(mode="json")) == config
    assert c4.without_weights() == c4


def test_every_option_reaches_its_part():
    heads = {
        "convolutions": [32],
        "head_norm": "group",
        "hidden": [16],
        "pooling": "align",
        "sampling_ratio": 0,
        "max_samples": 3,
        "aligned": False,
        "level_epsilon": 1e-6,
        "class_agnostic": True,
        "box_loss": "ciou",
        "box_loss_weight": 2.0,
        "soft_nms": {"sigma": 0.3},
        "min_size": 1.5,
        "positive_iou": 0.6,
    }
    backbone = {"stage_blocks": [1, 1], "levels": ["C2", "C3"], "norm": "sync_batch"}
    sizes = {"anchor_sizes": [[16], [32], [64]]}
    model = detection.build_model(
        ModelConfig.model_validate({"backbone": backbone, "rpn": sizes, "roi_heads": heads}),
        CATEGORIES,
    )
    found = model.roi_heads.get_config()
    for name, value in (
        *(("sampling_ratio", 0), ("max_samples", 3), ("aligned", False), ("level_epsilon", 1e-6)),
        *(("method", "align"), ("size", 7), ("min_level", 2), ("strides", [4, 8])),
    ):
        assert found["pooler"][name] == value
    assert found["box_head"]["config"]["convolutions"] == [32]
    assert found["box_head"]["config"]["norm"] == "group"
    assert found["predictor"]["config"]["class_agnostic"] is True
    loss = {"kind": "ciou", "beta": 0.0, "weight": 2.0}
    assert found["predictor"]["config"]["box_loss"] == loss
    assert found["selection"]["soft_nms"] == {"method": "gaussian", "sigma": 0.3}
    assert found["selection"]["min_size"] == 1.5 and found["sampling"]["positive_iou"] == 0.6
    cascade = {"ious": [0.4, 0.5], "box_weights": [[1, 1, 1, 1], [2, 2, 2, 2]]}
    config = {"backbone": backbone, "rpn": sizes, "roi_heads": {"cascade": cascade}}
    model = detection.build_model(ModelConfig.model_validate(config), CATEGORIES)
    assert model.roi_heads.ious == (0.4, 0.5) and model.roi_heads.sampling.positive_iou == 0.4
    assert [p.box_weights for p in model.roi_heads.predictors] == [(1.0,) * 4, (2.0,) * 4]
