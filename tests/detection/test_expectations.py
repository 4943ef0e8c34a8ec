"""Figures of a source are compared with runs on its data and of its length only."""

import json

import pytest
import yaml

import detection
from detection.data.shape_drawing import SHAPE_CLASSES
from detection.evaluation import summary_table
from detection.expectations import expectation
from keras_resnet.training.config import available_configs
from tests.detection.test_recipes import TRUTH

NAMED = ("quickstart", "bccd", "coco_r50_fpn_1x", "coco_r50_fpn_3x", "voc0712_r50_fpn")


# What the authors of the data sets say: images of the split for validation, classes.
COUNTS = {
    "quickstart": (100, len(SHAPE_CLASSES)),
    "bccd": (72, 3),
    "coco": (5000, 80),
    "voc": (4952, 20),
}


class Data:
    """As much of a data set as is looked at."""

    def __init__(self, images, classes):
        self.images, self.categories = images, range(classes)

    def __len__(self):
        return self.images


def counts(name):
    return next(
        (found for start, found in COUNTS.items() if name.startswith(start)), COUNTS["quickstart"]
    )


def differs(name, *overrides, split="val"):
    config = detection.load_config(name, overrides)
    return expectation(config, Data(*counts(name)), split).get("not_comparable")


@pytest.mark.parametrize("name", NAMED)
def test_shipped_configurations_are_comparable(name):
    assert differs(name) is None
    assert differs(name, "run.name=mine", "train.seed=7", "data.pipeline.workers=3") is None


def test_what_was_changed_is_named():
    assert differs("quickstart", "train.steps=20") == "train.steps"
    assert differs("quickstart", "data.shapes.num_train=40") == "data.shapes.num_train"
    assert (
        differs("quickstart", "train.steps=null", "train.epochs=1") == "train.epochs, train.steps"
    )
    assert differs("quickstart", "data.pipeline.min_sides=[96]") == "data.pipeline.min_sides"
    assert "data.format" in differs("quickstart", "data.format=yolo", "data.root=my/data.yaml")
    assert differs("bccd", "data.train.split=train") == "data.train.split"
    assert differs("bccd", split="train") == "the split train"


def test_the_same_images_in_smaller_batches_are_comparable():
    halved = ("data.pipeline.batch_size=4", "train.steps=4600")
    assert differs("quickstart", *halved) is None
    assert differs("quickstart", halved[0]) == "train.steps"
    assert differs("bccd", "data.root=elsewhere/bccd") is None


@pytest.mark.parametrize("name", available_configs("detection"))
def test_other_data_have_no_expected_figures(name):
    config = detection.load_config(name, ["run.name=mine"])
    images, classes = counts(name)
    if config.expected is None:
        assert expectation(config, Data(images, classes)) is None
        return
    assert "images" not in expectation(config, Data(images, classes))
    assert expectation(config, Data(images - 1, classes)) is None
    assert expectation(config, Data(images, classes + 1)) is None
    # A run of earlier does not say on what its figures were measured.
    old = config.expected.model_copy(update={"images": None, "classes": None})
    old = config.model_copy(update={"expected": old})
    assert expectation(old, Data(images, classes)) == expectation(config, Data(images, classes))
    assert expectation(old, Data(images + 1, classes)) is None


def test_own_expectations_are_of_own_data(tmp_path):
    own = {"extends": "quickstart", "train": {"steps": 20}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    assert differs(str(tmp_path / "own.yaml")) == "train.steps"
    own["expected"] = {"AP": 0.1, "source": "my last run"}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    assert differs(str(tmp_path / "own.yaml")) is None


def test_no_verdict_is_printed():
    found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 16], "score": 0.9}]
    metrics = detection.evaluation.evaluate(TRUTH, found)
    config = detection.load_config("quickstart", ["train.steps=20", "data.shapes.seed=1"])
    metrics["expected"] = json.loads(json.dumps(expectation(config, Data(*COUNTS["quickstart"]))))
    text = summary_table(metrics)
    assert "expected of the table in the README: not comparable, for these differ:" in text
    assert "\n  data.shapes.seed, train.steps\n" in text
    assert "below" not in text and "0.722" not in text
