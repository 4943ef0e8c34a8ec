"""Detectors evaluated as they were exported, against the run they come from."""

import importlib.metadata
import json
import shutil
from pathlib import Path

import keras
import pytest
import yaml

from detection.evaluate import evaluate_model
from detection.export import export_saved_model
from detection.multi_view import TestTimeAugmentation
from detection.saving import load
from detection.served import load_served, served_folder

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    model = load(tiny_run.folder, precision="float32")
    return export_saved_model(model, tmp_path_factory.mktemp("served") / "tiny")


def test_same_figures_as_the_run(tiny_run, exported, in_process, tmp_path):
    common = ("--config", tiny_run.config, "--split", "train", "--output")
    code, out, err = in_process(
        *("evaluate_detector.py", exported.parent, *common, tmp_path / "served", "--trust")
    )
    assert (code, err) == (0, "")
    assert str(tmp_path / "served" / "predictions.json") in out
    code, *_ = in_process("evaluate_detector.py", tiny_run.folder, *common, tmp_path / "run")
    assert code == 0
    served, own = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("served", "run")
    )
    assert own["AP50"] > 0.0
    for name in ("AP", "AP50", "AR100", "mAP07", "mAP_area"):
        assert served[name] == pytest.approx(own[name], abs=0.01), name
    served, own = (
        json.loads((tmp_path / name / "predictions.json").read_text()) for name in ("served", "run")
    )
    assert {row["image_id"] for row in served} == {row["image_id"] for row in own}
    best_served, best_own = (
        sorted(rows, key=lambda row: -row["score"])[0] for rows in (served, own)
    )
    assert best_served["category_id"] == best_own["category_id"]
    assert best_served["bbox"] == pytest.approx(best_own["bbox"], abs=0.5)


def test_other_classes_are_refused(tiny_run, exported, in_process, tmp_path):
    config = yaml.safe_load(tiny_run.config.read_text(encoding="utf-8"))
    for split in ("train", "val"):
        source = config["data"][split]["annotations"]
        renamed = json.loads(Path(source).read_text(encoding="utf-8"))
        renamed["categories"][0]["name"] = "purple"
        target = tmp_path / f"{split}.json"
        target.write_text(json.dumps(renamed), encoding="utf-8")
        config["data"][split]["annotations"] = str(target)
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(config), encoding="utf-8")
    code, _, err = in_process("evaluate_detector.py", exported, "--config", other, "--trust")
    assert code == 2
    assert "must have the model's classes in the same order" in err
    assert "purple" in err and "'red', 'green', 'blue'" in err


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "say with --config which data to evaluate on"),
        (("--config", "quickstart"), "Pass trust=True (--trust) if you exported it yourself"),
        (
            ("--config", "quickstart", "--trust", "--set", "model.test_time.flip=true"),
            "An exported model cannot be changed",
        ),
    ],
)
def test_mistakes(exported, in_process, arguments, message):
    code, _, err = in_process("evaluate_detector.py", exported, *arguments)
    assert code == 2 and message in err


def test_folders(exported, tmp_path):
    assert served_folder(exported) == exported == served_folder(exported.parent)
    assert served_folder(tmp_path) is None
    for version in ("9", "10", "latest"):
        shutil.copytree(exported, tmp_path / version)
    assert served_folder(tmp_path).name == "10"
    with pytest.raises(ValueError, match=r"neither saved_model\.pb nor numbered versions"):
        load_served(tmp_path / "latest" / "assets", trust=True)
    (tmp_path / "10" / "assets" / "detector.json").write_text("{}")
    with pytest.raises(ValueError, match="does not say categories and preprocessing"):
        load_served(tmp_path, trust=True)
    (tmp_path / "10" / "assets" / "detector.json").unlink()
    with pytest.raises(ValueError, match="no detector exported by this library"):
        load_served(tmp_path, trust=True)


def test_detect(tiny_run, exported):
    model, served = load(tiny_run.folder, precision="float32"), load_served(exported, trust=True)
    picture = tiny_run.val / "images" / "picture_203.png"
    expected, found = model.detect(picture), served.detect(picture)
    assert found.size == expected.size and found.source == picture
    assert found.names[:1] == expected.names[:1]
    assert found.boxes[0] == pytest.approx(expected.boxes[0], abs=0.5)
    middle = float(found.scores[len(found) // 2])
    assert len(served.detect(picture, middle)) == int((found.scores >= middle).sum())


def test_one_view_only(tiny_run, exported):
    augment = TestTimeAugmentation(scales=(32,), flip=True)
    with pytest.raises(ValueError, match="looks at an image once"):
        evaluate_model(load_served(exported, trust=True), _data(tiny_run), augment=augment)


def _data(tiny_run):
    from detection.config import load_config

    return load_config(str(tiny_run.config))


def test_the_export_says_what_it_is(tiny_run, exported):
    facts = json.loads((exported / "assets" / "detector.json").read_text(encoding="utf-8"))
    assert facts["package_version"] == importlib.metadata.version("keras-resnet-detection")
    config = yaml.safe_load((tiny_run.folder / "config.yaml").read_text(encoding="utf-8"))
    for section in ("backbone", "rpn", "roi_heads"):
        assert facts["architecture"][section] == config["model"][section]
    assert facts["class_names"] == ["red", "green", "blue"]
