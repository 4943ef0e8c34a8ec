"""A recipe from end to end: two data sets, averaged weights, accumulation, expected figures."""

import csv
import json

import keras
import numpy as np
import pytest

import detection
from detection.config import Config
from keras_resnet.training.variable_keys import variable_keys
from tests.detection.data.test_join import voc_years
from tests.detection.test_recipes import reduced


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("union")
    plain = reduced("voc0712_r50_fpn", folder).model_dump(mode="json")
    pipeline = plain["data"]["pipeline"]
    plain["data"] = {**voc_years(folder), "keep_difficult": False, "pipeline": pipeline}
    plain["train"] |= {"steps": 4, "accumulate": 2, "tensorboard": False, "learning_rate": 0.05}
    plain["train"]["ema"] = {"decay": 0.999999}
    plain["run"] |= {"project": str(folder / "runs"), "export": False, "pictures": 0}
    # Those of the recipe are of another number of images.
    plain["expected"] = {"mAP07": 0.795, "tolerance": 0.01, "source": "my last run"}
    lines = []
    config = Config.model_validate(plain)
    made, metrics = detection.train_detector(config, say=lines.append)
    return config, made, metrics, "\n".join(lines)


def test_both_years_are_trained_on(run):
    config, folder, _, text = run
    assert "VOC2007_trainval+VOC2012_trainval: 3 images" in text
    # 3 objects marked difficult are left out of training, not of the test.
    assert "3 images (0 without boxes), 3 boxes" in text
    assert "VOC2007_test: 1 images (0 without boxes), 2 boxes" in text
    rows = list(csv.DictReader((folder / "results.csv").open(newline="")))
    assert [int(row["epoch"]) for row in rows] == [1, 2]  # 3 images fill 2 batches of 2
    assert detection.load_config(folder / "config.yaml") == config
    # 2 images a batch, 2 batches an update, for a rate that is meant for 2 images.
    assert float(rows[0]["lr"]) == pytest.approx(0.05 * 2 * 2 / 2)


def test_the_average_is_saved(run):
    config, folder, _, _ = run
    saved = detection.load(folder / "weights" / "last")
    keras.utils.set_random_seed(config.train.seed)
    start = detection.build_model(config.model, saved.categories)
    expected = variable_keys(start)
    moved = 0.0
    for key, value in variable_keys(saved).items():
        if not key.endswith(("kernel", "bias")):
            continue
        difference = np.abs(np.asarray(value) - np.asarray(expected[key])).max()
        assert difference < 1e-4, key
        moved = max(moved, difference)
    assert moved > 0


def test_expected_figures_are_shown_and_written(run):
    _, folder, metrics, text = run
    assert "expected of my last run" in text
    written = json.loads((folder / "metrics.json").read_text())["expected"]
    assert written == metrics["expected"]
    assert written["mAP07"] == 0.795 and written["tolerance"] == 0.01
