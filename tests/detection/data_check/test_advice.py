"""Advice: what is told to change, and that the settings it names are valid and help."""

import pytest

from detection import load_config
from detection.data import Category, DetectionDataset, Record
from detection.data_check import check_data
from keras_resnet.training.schedules import scaled_learning_rate


def datasets_of(count=40, sides=(30, 40), size=(128, 128), boxes=4, classes=(0, 1), val=40):
    def records(number):
        rows = [[10 + i, 10, 10 + i + sides[0], 10 + sides[1]] for i in range(0, 8 * boxes, 8)]
        labels = [classes[i % len(classes)] for i in range(boxes)]
        return [Record(f"{i}.jpg", i, *size, rows, labels) for i in range(number)]

    categories = [Category(i, name) for i, name in enumerate(("cat", "dog"))]
    return {
        "train": DetectionDataset("train", categories, records(count)),
        "val": DetectionDataset("val", categories, records(val)),
    }


def advice(datasets, source="quickstart", *settings):
    found = check_data(datasets, load_config(source, settings))
    return {row.about: row for row in found.advice}


def test_what_is_fine_is_said():
    found = advice(datasets_of())
    assert {about for about, row in found.items() if row.change} == {"start"} & set(found)
    assert {"image size", "anchors", "batch", "learning rate", "length"} <= set(found)
    assert "resized by 1.00" in found["image size"].text
    assert "8 images a step, 5 steps an epoch" in found["batch"].text
    assert "460 passes" in found["length"].text


def test_small_boxes_ask_for_larger_images():
    datasets = datasets_of(sides=(20, 20), size=(256, 256))
    found = advice(datasets)["image size"]
    assert found.change and "100% of the boxes are below 16" in found.text
    assert found.settings == ("data.pipeline.min_sides=[256]", "data.pipeline.max_side=256")
    assert not advice(datasets, "quickstart", *found.settings)["image size"].change


def test_anchors_that_do_not_fit():
    datasets = datasets_of(sides=(7, 7))
    found = advice(datasets)["anchors"]
    assert found.change and "smaller anchors" in found.text
    (setting,) = found.settings
    assert setting.startswith("model.rpn.anchor_sizes=[[")
    assert not advice(datasets, "quickstart", setting)["anchors"].change


def test_aspect_ratios_of_a_trained_detector_stay():
    datasets = datasets_of(sides=(110, 14), boxes=1)
    (setting,) = advice(datasets)["anchors"].settings
    assert setting.startswith("model.rpn.aspect_ratios=[")
    kept = advice(datasets, "quickstart", "train.start_from=some/run")["anchors"]
    assert "aspect_ratios" not in "".join(kept.settings)


def test_batch():
    found = advice(datasets_of(count=5))["batch"]
    assert found.change and found.settings == ("data.pipeline.batch_size=5",)
    found = advice(datasets_of(), "quickstart", "data.pipeline.batch_size=2")["batch"]
    assert found.change and "Batch norm" in found.text
    frozen = ["data.pipeline.batch_size=2", "model.backbone.norm=frozen"]
    assert not advice(datasets_of(), "quickstart", *frozen)["batch"].change


@pytest.mark.parametrize("batch, accumulate", [(4, 1), (8, 2), (16, 1)])
def test_the_scaled_learning_rate(batch, accumulate):
    settings = [f"data.pipeline.batch_size={batch}", f"train.accumulate={accumulate}"]
    found = advice(datasets_of(), "quickstart", *settings)["learning rate"]
    rate = scaled_learning_rate(0.001, batch * accumulate, 8)
    assert f"scaled to {rate:g}" in found.text


def test_a_learning_rate_that_diverges():
    settings = ["train.optimizer=sgd", "train.learning_rate=0.5"]
    found = advice(datasets_of(), "quickstart", *settings)["learning rate"]
    assert found.change and "diverge" in found.text
    settings[1] = found.settings[0]
    assert not advice(datasets_of(), "quickstart", *settings)["learning rate"].change


@pytest.mark.parametrize("settings", [["train.steps=20"], ["train.steps=null", "train.epochs=3"]])
def test_a_training_that_is_short(settings):
    settings = [*settings, "train.warmup_length=0"]
    found = advice(datasets_of(), "quickstart", *settings)["length"]
    assert found.change and "little" in found.text
    again = advice(datasets_of(), "quickstart", *settings, *found.settings)["length"]
    assert not again.change


def test_a_schedule_that_never_comes_to_its_end():
    short = ["train.steps=500", "train.boundaries=[300, 900]", "train.schedule=step"]
    found = advice(datasets_of(), "quickstart", *short)["schedule"]
    assert found.change and "drop at steps 900" in found.text
    assert found.settings == ("train.boundaries=[300, 425]",)
    assert "schedule" not in advice(datasets_of(), "quickstart", *short, *found.settings)
    warm = ["train.steps=150"]
    assert "warm-up" in advice(datasets_of(), "quickstart", *warm)["schedule"].text


def test_few_images_and_no_weights():
    path = {"data.format": "coco", "data.root": "null"}
    path |= {f"data.{s}.{k}": "x" for s in ("train", "val") for k in ("images", "annotations")}
    settings = [f"{key}={value}" for key, value in path.items()]
    found = advice(datasets_of(), "quickstart", *settings)["start"]
    assert found.change and "finetune_custom" in found.text
    assert "start" not in advice(datasets_of(), "quickstart", *settings, "train.start_from=a/run")


def test_more_boxes_than_detections():
    found = advice(datasets_of(), "quickstart", "model.roi_heads.max_detections=3")
    assert found["detections"].settings == ("model.roi_heads.max_detections=100",)
    assert "detections" not in advice(datasets_of())


def test_balance_and_validation():
    found = advice(datasets_of(classes=(0,) * 200 + (1,), count=40, boxes=4, val=10))
    assert not found["class balance"].change  # One class only.
    assert "cat" in found["class balance"].text
    assert found["validation"].change and "10 images with 40 boxes" in found["validation"].text
    rare = datasets_of()
    rare["train"].records[0].classes[:] = 1
    for record in rare["train"].records[1:]:
        record.classes[:] = 0
    found = advice(rare)["class balance"]
    assert found.change and "dog (4)" in found.text
