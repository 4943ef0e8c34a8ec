"""An image that is whole by its header and damaged behind it, before training and within."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_resnet.classification.config import ClassifierConfig
from keras_resnet.classification.train import train_classifier
from keras_resnet.data.errors import DataError
from tests.keras_resnet.data.helpers import smooth_image


@pytest.fixture
def settings(tmp_path):
    for split, count in (("train", 5), ("val", 2)):
        for seed, name in enumerate(("cat", "dog")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = smooth_image((160, 180), seed=10 * i + seed)
                Image.fromarray(pixels).save(folder / f"{i}.jpg")
    return {
        "model": {"name": "ResNet18", "options": {"stage_blocks": [1], "width": 4}},
        "data": {
            "format": "folder",
            "root": str(tmp_path),
            "val": "val",
            "mean": (100, 100, 100),
            "pipeline": {"batch_size": 4, "image_size": 16, "shuffle": False},
        },
        "train": {"steps": 4, "schedule": "constant"},
        "run": {"project": str(tmp_path / "runs")},
    }


def train(settings, **data):
    config = {**settings, "data": {**settings["data"], **data}}
    return train_classifier(ClassifierConfig.model_validate(config), lambda line: None)


def test_a_jpeg_cut_in_its_pixels(settings, tmp_path):
    path = tmp_path / "train" / "cat" / "3.jpg"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"^The image {path} does not decode.*data\.verify=decode"):
        train(settings)
    with pytest.raises(DataError, match=rf"1 found, 0 allowed(.|\n)*{path}"):
        train(settings, verify="decode")
    settings["run"]["name"] = "without_it"
    folder, metrics = train(settings, verify="decode", max_bad_images=1)
    assert np.isfinite(metrics["loss"])
    found = json.loads((folder / "problems.json").read_text())["train"]["undecodable_image"]
    assert found["count"] == 1 and str(path) in found["first"][0]


def test_all_that_are_left_out_are_named(settings, tmp_path):
    names = [f"empty_{i:02}.jpg" for i in range(25)]
    for name in names:
        (tmp_path / "train" / "cat" / name).touch()
    settings["data"]["max_bad_images"] = 30
    said = []
    folder, _ = train_classifier(ClassifierConfig.model_validate(settings), said.append)
    assert "- and 22 more: all in the run's problems.json" in "\n".join(said)
    found = json.loads((folder / "problems.json").read_text())["train"]["undecodable_image"]
    assert [place.split(":")[0].split("/")[-1] for place in found["first"]] == names


def test_what_has_no_effect_is_refused(settings):
    for data in ({"verify": "decode"}, {"max_bad_images": 1}, {"follow_links": True}):
        (name,) = data
        with pytest.raises(ValueError, match=f"`{name}` is for `format: folder`"):
            train(settings, **data, format="npz")
