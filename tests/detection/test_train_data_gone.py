"""A detector's data set that goes away while it is trained on."""

import json
import shutil

import pytest
import yaml

import detection
from keras_resnet.data.errors import DataError
from keras_resnet.training import loop_callbacks
from keras_resnet.training.results import read_results
from tests.detection.coco_folder import tiny_settings, write_coco


@pytest.mark.slow
def test_images_removed_in_training(tmp_path, monkeypatch):
    train, val = write_coco(tmp_path / "train", 60), write_coco(tmp_path / "val", 2, seed=1)
    settings = tiny_settings(train, val, tmp_path / "runs")
    settings["data"]["pipeline"] |= {"batch_size": 2, "cache": False, "workers": 1}
    settings["train"] |= {"steps": 60, "evaluate_every": 1, "tensorboard": False, "state_every": 1}
    settings["run"] |= {"export": False, "pictures": 0}
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def run(*overrides):
        config = detection.load_config(str(path), overrides)
        lines = []
        return detection.train_detector(config, lines.append), lines

    steps, begin = [0], loop_callbacks.Everyone.on_train_batch_begin

    def removing(everyone, *arguments, **options):
        steps[0] += 1
        if steps[0] == 33:  # in the second epoch
            shutil.move(train / "images", tmp_path / "away")
        begin(everyone, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(loop_callbacks.Everyone, "on_train_batch_begin", removing)
        with pytest.raises(DataError, match=r"picture_\d+\.png cannot be read: No such file"):
            run()
    folder = tmp_path / "runs" / "tiny"
    # What was saved before is there to be used.
    assert detection.load(folder).class_names == ["red", "green", "blue"]
    assert [row["epoch"] for row in read_results(folder / "results.csv")] == ["1"]
    with pytest.raises(FileNotFoundError, match="train/images"):
        run("run.resume=true")
    shutil.move(tmp_path / "away", train / "images")
    (_, metrics), lines = run("run.resume=true")
    (line,) = [line for line in lines if line.startswith("continuing")]
    assert 32 <= int(line.split()[-3]) < 60
    assert [row["epoch"] for row in read_results(folder / "results.csv")] == ["1", "2"]
    assert json.loads((folder / "metrics.json").read_text())["AP"] == metrics["AP"]
