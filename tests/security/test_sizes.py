"""The bound from below on what a description holds: all honest models pass, larger ones do not."""

from pathlib import Path

import keras
import pytest

import detection
from detection.config import ModelConfig
from detection.model_size import refuse_larger as refuse_larger_detector
from keras_resnet.classification.model import _NETWORKS, build_classifier
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.untrusted.dry_run import dry_run
from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.untrusted.network_size import MAX_BLOCKS, refuse_larger, whole_numbers
from tests.detection.small_model import small_model

CONFIGS = sorted(p.stem for p in Path(detection.__file__).parent.glob("configs/*.yaml"))
BASICS = [(3, 3, 8, 8), (3, 3, 8, 8), (8,), (8,), (8,), (8,)]


def shapes_of(build):
    return dry_run(lambda: [tuple(v.shape) for v in variable_keys(build()).values()])


def detector_of(name):
    if name == "small":
        return small_model
    config = detection.load_config(name).model.without_weights()
    return lambda: detection.build_model(config, [{"id": 1, "name": "a"}])


@pytest.mark.parametrize("name", ["small", *CONFIGS])
def test_detectors_hold_what_is_asked_of_them(name):
    build = detector_of(name)
    shapes = shapes_of(build)
    config = dry_run(lambda: build().architecture)
    config = ModelConfig.model_validate(config)
    refuse_larger_detector(config, shapes, "the file")
    deeper = config.rpn.model_copy(update={"conv_depth": 64})
    with pytest.raises(UntrustedFileError, match="the file describes"):
        refuse_larger_detector(config.model_copy(update={"rpn": deeper}), shapes, "the file")
    if config.architecture != "c4":
        larger = config.roi_heads.model_copy(update={"hidden": (4096, 4096)})
        larger = config.model_copy(update={"roi_heads": larger})
        with pytest.raises(UntrustedFileError, match=r"\(\d+, 4096\) and holds 0"):
            refuse_larger_detector(larger, shapes, "the file")


@pytest.mark.parametrize("name", sorted(n for n in _NETWORKS if not n.endswith("1202")))
def test_classifiers_hold_what_is_asked_of_them(name):
    shapes = shapes_of(lambda: build_classifier(name, {}, ["a", "b"]))
    arguments = {"stage_blocks": (3, 4, 6, 3), "width": 64, **_NETWORKS[name]}
    blocks, width = arguments["stage_blocks"], arguments["width"]
    refuse_larger(blocks, width, shapes, "the file")
    for other in (((*blocks, 1), width), (blocks, width + 1), ((500,), width)):
        with pytest.raises(UntrustedFileError, match="the file describes"):
            refuse_larger(*other, shapes, "the file")


def test_the_deepest_published_network_is_allowed():
    blocks = max(sum(options.get("stage_blocks", ())) for options in _NETWORKS.values())
    assert blocks == 600 < MAX_BLOCKS


def test_a_network_is_bound_by_hand():
    refuse_larger([1], 8, BASICS, "a file")
    refuse_larger([2], 8, 2 * BASICS, "a file")
    with pytest.raises(UntrustedFileError, match="2 blocks and holds 6 arrays"):
        refuse_larger([2], 8, BASICS, "a file")
    with pytest.raises(UntrustedFileError, match=r"1 arrays of the shape \(3, 3, 16, 16\)"):
        refuse_larger([1, 1], 8, 2 * BASICS, "a file")
    with pytest.raises(UntrustedFileError, match=r"2 arrays of the shape \(3, 3, 8, 8\).* 1"):
        refuse_larger([2], 8, [*2 * BASICS[1:], (3, 3, 0, 8), (8,), (8,), (8,)][1:], "a file")
    with pytest.raises(UntrustedFileError, match="1001 blocks, more than"):
        refuse_larger([1000, 1], 8, 10_000 * BASICS, "a file")


def test_numbers_are_found_however_they_are_written():
    assert whole_numbers((3, [4, (6,)])) == [3, 4, 6]
    assert whole_numbers({"class_name": "__tuple__", "items": [1, -2]}) == [1, 2]
    assert whole_numbers(["3", None, 4.0, {}]) == []


def test_layers_without_weights_are_no_reason_to_refuse(tmp_path):
    """An honest `.keras` file of many layers without weights passes."""
    from keras_resnet.untrusted import keras_file

    layers = [keras.layers.Dense(4), *(keras.layers.ReLU() for _ in range(100))]
    keras.Sequential([keras.Input((4,)), *layers]).save(tmp_path / "a.keras")
    keras_file.check_model(tmp_path / "a.keras")
