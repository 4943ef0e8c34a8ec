"""The recipe `finetune_custom`, from torchvision's weights to a detector of other classes."""

import json

import numpy as np
import pytest
import safetensors.numpy

import detection
from detection.config import Config
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.weights.torchvision import from_torch_layout
from tests.detection.coco_folder import coco_settings, write_coco
from tests.detection.weights.torch_state import small_state

_FILTERS, _UNITS = 16, 24


class StopHere(Exception):
    pass


@pytest.fixture(scope="module")
def state():
    """Of a ResNet-18, narrow after it, with the three classes of someone else."""
    state = small_state(filters=_FILTERS, units=_UNITS)
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


@pytest.fixture(scope="module")
def config(state, tmp_path_factory):
    """The recipe for weights as small as that, and images of 96 pixels."""
    folder = tmp_path_factory.mktemp("finetune")
    source = folder / "detector.safetensors"
    safetensors.numpy.save_file({k: np.ascontiguousarray(v) for k, v in state.items()}, source)
    plain = detection.load_config("finetune_custom").model_dump(mode="json")
    plain["model"]["backbone"]["depth"] = 18
    plain["model"]["fpn_filters"] = _FILTERS
    plain["model"]["roi_heads"] |= {"hidden": [_UNITS] * 2, "samples": 16}
    plain["model"]["rpn"] |= {"pre_nms": [50, 30], "post_nms": [30, 20], "samples": 32}
    data = coco_settings(write_coco(folder / "train", 4), write_coco(folder / "val", 2, seed=1))
    pipeline = plain["data"]["pipeline"] | {"min_sides": [96], "max_side": 128}
    plain["data"] = {**data, "pipeline": pipeline}
    plain["train"] |= {"start_from": str(source), "epochs": 1, "tensorboard": False}
    # Small steps, after which the weights can be told from others.
    plain["train"] |= {"boundaries": [1], "warmup_length": 0, "learning_rate": 1e-4}
    plain["run"] |= {"project": str(folder / "runs"), "export": False, "pictures": 0}
    return Config.model_validate(plain)


def test_only_what_the_recipe_trains_differs_from_the_source(config, state):
    lines = []
    folder, metrics = detection.train_detector(config, say=lines.append)
    assert f"starting with the weights of {config.train.start_from}" in lines
    model = detection.load(folder / "weights" / "last")
    assert model.class_names == ["red", "green", "blue"]
    assert [category["id"] for category in model.categories] == [3, 7, 9]
    arrays = {key.split("/", 1)[-1]: np.asarray(v) for key, v in variable_keys(model).items()}

    def source(name):
        return from_torch_layout(name, state[name])

    body = "backbone.body."
    for key, name in (
        ("stem/conv/kernel", f"{body}conv1.weight"),
        ("stem/norm/moving_mean", f"{body}bn1.running_mean"),
        ("stage2_block1/conv1/kernel", f"{body}layer1.0.conv1.weight"),
        ("stage2_block2/norm2/gamma", f"{body}layer1.1.bn2.weight"),
        ("stage3_block1/norm1/moving_variance", f"{body}layer2.0.bn1.running_var"),
        ("stage5_block2/norm2/beta", f"{body}layer4.1.bn2.bias"),
    ):
        np.testing.assert_array_equal(arrays[key], source(name), err_msg=key)
    for key, name in (
        ("stage3_block1/conv1/kernel", f"{body}layer2.0.conv1.weight"),
        ("stage5_block2/conv2/kernel", f"{body}layer4.1.conv2.weight"),
        ("objectness/kernel", "rpn.head.cls_logits.weight"),
    ):
        difference = np.abs(arrays[key] - source(name)).max()
        assert 0 < difference < 0.1 * np.abs(source(name)).max(), key
    # The source has four rows of classes; ours are new, as an untrained detector's.
    assert arrays["predictor/classifier/kernel"].shape == (_UNITS, 4)
    rows = source("roi_heads.box_predictor.cls_score.weight")
    assert np.abs(arrays["predictor/classifier/kernel"] - rows).max() > 0.5 * np.abs(rows).max()
    assert json.loads((folder / "metrics.json").read_text())["AP"] == pytest.approx(metrics["AP"])


def test_weights_of_the_backbone_are_not_fetched_for_nothing(config, monkeypatch):
    monkeypatch.setattr("detection.backbones.load_backbone", lambda *_: pytest.fail("fetched"))
    monkeypatch.setattr("detection.train.fit", lambda *_, **__: (_ for _ in ()).throw(StopHere))
    plain = config.model_dump(mode="json")
    plain["model"]["backbone"]["weights"] = "imagenet"
    lines = []
    with pytest.raises(StopHere):
        detection.train_detector(Config.model_validate(plain), say=lines.append)
    assert f"starting with the weights of {config.train.start_from}" in lines


def test_another_architecture_than_the_weights_is_refused(config):
    plain = config.model_dump(mode="json")
    plain["model"]["roi_heads"]["aligned"] = True
    with pytest.raises(ValueError, match=r"roi_heads\.aligned: False in the source, True"):
        detection.train_detector(Config.model_validate(plain), say=lambda line: None)
