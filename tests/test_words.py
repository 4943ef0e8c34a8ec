"""The words of the command line: each changes the keys it stands for, as a flag and after --set."""

import argparse
from pathlib import Path

import pytest

import detection
from keras_resnet.classification.config import load_classifier_config

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def scripts(monkeypatch):
    """The modules `_arguments` and `_words`, with an environment that the words may change."""
    monkeypatch.syspath_prepend(SCRIPTS)
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, "")
    import _arguments
    import _words

    return argparse.Namespace(arguments=_arguments, words=_words)


def settings(scripts, kind, source, arguments):
    """The configuration that a script of a kind makes of arguments, as plain data."""
    parser = argparse.ArgumentParser()
    scripts.arguments.add_config_arguments(parser, kind, {"nargs": "?", "default": source})
    load = load_classifier_config if kind == "classifier" else detection.load_config
    parsed = parser.parse_args([*map(str, arguments)])
    overrides = scripts.arguments.overrides_of(parsed, kind)
    return scripts.arguments.load_with(load, parsed.config, overrides).model_dump(mode="json")


def value_at(values, key):
    for part in key.split("."):
        values = values[part]
    return values


DETECTOR = [
    ("data", "my photos", {"data.root": "my photos"}),
    ("data", "a: b", {"data.root": "a: b"}),
    ("data", "own/data.yaml", {"data.root": "own/data.yaml", "data.format": "yolo"}),
    ("epochs", 3, {"train.epochs": 3, "train.steps": None}),
    ("batch", 6, {"data.pipeline.batch_size": 6}),
    ("imgsz", 96, {"data.pipeline.max_side": 96, "data.pipeline.min_sides": [96]}),
    ("device", "cpu", {"train.devices": 1}),
    ("device", "all", {"train.devices": "all"}),
    ("device", "0,1", {"train.devices": 2}),
    ("workers", 5, {"data.pipeline.workers": 5}),
    ("project", "else", {"run.project": "else"}),
    ("name", "7", {"run.name": "7"}),
    ("exist_ok", "False", {"run.name": "quickstart"}),
    ("resume", "auto", {"run.resume": "auto"}),
    ("resume", "True", {"run.resume": True}),
    ("seed", 9, {"train.seed": 9}),
    ("patience", 4, {"train.early_stopping": 4}),
    ("patience", 0, {"train.early_stopping": None}),
    ("profile", 3, {"train.profile": 3}),
    ("conf", 0.3, {"model.roi_heads.score_threshold": 0.3}),
    ("iou", 0.6, {"model.roi_heads.nms_threshold": 0.6}),
    ("max_det", 7, {"model.roi_heads.max_detections": 7}),
]
CLASSIFIER = [
    ("data", "own", {"data.root": "own"}),
    ("epochs", 3, {"train.epochs": 3}),
    ("batch", 6, {"data.pipeline.batch_size": 6}),
    ("imgsz", 96, {"data.pipeline.image_size": 96, "data.pipeline.eval_resize": None}),
    ("workers", 5, {"data.pipeline.workers": 5}),
    ("patience", 4, {"train.early_stopping": 4}),
]


@pytest.mark.parametrize("form", ["flag", "set"])
@pytest.mark.parametrize(
    "kind, word, value, expected",
    [("detector", *row) for row in DETECTOR] + [("classifier", *row) for row in CLASSIFIER],
)
def test_a_word_is_its_keys(scripts, form, kind, word, value, expected):
    arguments = (f"--{word}", value) if form == "flag" else ("--set", f"{word}={value}")
    source = "quickstart" if kind == "detector" else "finetune"
    values = settings(scripts, kind, source, arguments)
    assert {key: value_at(values, key) for key in expected} == expected


def test_every_word_of_the_training_scripts_is_tested(scripts):
    assert {row[0] for row in DETECTOR} == set(scripts.words.words_of("detector"))
    known = "data epochs batch imgsz device workers project name exist_ok resume seed patience"
    assert {*known.split(), "conf", "iou", "max_det"} <= set(scripts.words.words_of("detector"))
    assert set(known.split()) <= set(scripts.words.words_of("classifier"))


def test_devices_that_are_not_named_are_hidden(scripts, monkeypatch):
    import os

    settings(scripts, "detector", "quickstart", ["--device", "cpu"])
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["JAX_PLATFORMS"]) == ("-1", "cpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")  # of a cluster: 1 is the second of these
    settings(scripts, "detector", "quickstart", ["--device", "1"])
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "6"


def test_image_side_is_that_of_a_jittered_canvas_too(scripts):
    values = settings(scripts, "detector", "coco_r50_fpn_v2", ["--imgsz", "640"])
    assert value_at(values, "data.pipeline.large_scale_jitter.size") == 640
    assert value_at(values, "data.pipeline.max_side") == 640


def test_later_settings_win_and_flags_come_last(scripts):
    arguments = ["--set", "batch=2", "data.pipeline.batch_size=3", "seed=1", "--seed", "2"]
    values = settings(scripts, "detector", "quickstart", arguments)
    assert value_at(values, "data.pipeline.batch_size") == 3
    assert value_at(values, "train.seed") == 2


def test_flags_alone(scripts):
    values = settings(scripts, "detector", "quickstart", ["--resume", "--profile"])
    assert (values["run"]["resume"], values["train"]["profile"]) == (True, 10)


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """Folders as each format has them; only their names are looked at."""
    monkeypatch.chdir(tmp_path)
    files = """
        coco/annotations/instances_train2017.json coco/annotations/instances_val2017.json
        coco/annotations/captions_train2017.json coco/train2017/1.jpg coco/val2017/2.jpg
        inner/annotations/train.json inner/annotations/val.json
        inner/images/train/1.jpg inner/images/val/2.jpg
        robo/train/_annotations.coco.json robo/valid/_annotations.coco.json
        voc/Annotations/1.xml voc/ImageSets/Main/train.txt voc/ImageSets/Main/val.txt
        voc/ImageSets/Main/trainval.txt
        tested/Annotations/1.xml tested/ImageSets/Main/trainval.txt
        tested/ImageSets/Main/test.txt tested/ImageSets/Main/train.txt
        alone/Annotations/1.xml alone/ImageSets/Main/train.txt
        shapes/parameters.json shapes/annotations/instances_train.json
        shapes/annotations/instances_val.json shapes/train/1.jpg shapes/val/1.jpg
    """
    for name in files.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()


def coco_of(images, annotations):
    return {"images": images, "annotations": annotations}


FORMATS = [
    (
        "coco",
        "coco",
        coco_of("coco/train2017", "coco/annotations/instances_train2017.json"),
        coco_of("coco/val2017", "coco/annotations/instances_val2017.json"),
        None,
    ),
    (
        "inner",
        "coco",
        coco_of("inner/images/train", "inner/annotations/train.json"),
        coco_of("inner/images/val", "inner/annotations/val.json"),
        None,
    ),
    (
        "robo",
        "coco",
        coco_of("robo/train", "robo/train/_annotations.coco.json"),
        coco_of("robo/valid", "robo/valid/_annotations.coco.json"),
        None,
    ),
    ("voc", "voc", {"split": "train"}, {"split": "val"}, None),
    ("tested", "voc", {"split": "trainval"}, {"split": "test"}, None),
    ("alone", "voc", {"split": "train"}, {}, 0.2),
    ("boxes.csv", "csv", {"annotations": "boxes.csv"}, {}, 0.2),
    ("shapes", "shapes", {}, {}, None),
]


@pytest.mark.parametrize("source", ["quickstart", "bccd", "finetune_custom"])
@pytest.mark.parametrize("path, data_format, train, val, share", FORMATS)
def test_data_are_known_by_what_is_there(
    scripts, sets, source, path, data_format, train, val, share
):
    if path == "shapes" and source != "quickstart":
        pytest.skip("a sample set is one for a configuration of that format only")
    data = settings(scripts, "detector", source, ["--data", path])["data"]
    assert (data["format"], data["val_share"]) == (data_format, share)
    for split, wanted in (("train", train), ("val", val)):
        assert {k: v for k, v in data[split].items() if v is not None} == wanted
    assert data["root"] == (path if data_format in ("voc", "shapes") else None)


def test_other_keys_change_the_data_that_were_found(scripts, sets):
    for arguments in (["--data", "a.csv", "--set"], ["--set", "data=a.csv"]):
        data = settings(scripts, "detector", "bccd", [*arguments, "data.val.annotations=b.csv"])[
            "data"
        ]
        assert (data["val"]["annotations"], data["val_share"]) == ("b.csv", None)
    given = ["--data", "coco", "--set", "data.val_share=0.1"]
    data = settings(scripts, "detector", "bccd", given)["data"]
    assert (data["val"]["images"], data["val_share"]) == (None, 0.1)


def test_one_file_is_evaluated_whole(scripts, sets):
    source = "quickstart"
    data = settings(scripts, "evaluation", source, ["--data", "a.csv"])["data"]
    assert (data["val"]["annotations"], data["val_share"]) == ("a.csv", None)


def test_help_promises_what_is_there(scripts):
    def help_of(kind):
        parser = argparse.ArgumentParser()
        scripts.arguments.add_config_arguments(parser, kind, bad_images=False)
        return " ".join(parser.format_help().split())

    assert "YOLO" in help_of("detector") and "YOLO" not in help_of("classifier")
    assert "imgsz" not in help_of("evaluation") + help_of("prediction")
    assert "--dry-run" not in help_of("evaluation") + help_of("prediction")


@pytest.mark.parametrize(
    "text, message",
    [
        ("exist_ok=true", "never overwritten"),
        ("epoch=3", "did you mean epochs?"),
        ("imgsz=640x480", "one number, the longer side"),
        ("device=gpu", "cpu, all, or the numbers of GPUs"),
        ("resume=runs/a", "true, false or auto"),
    ],
)
def test_refused(scripts, text, message):
    with pytest.raises(ValueError, match="Received: ") as error:
        scripts.words.overrides_for("detector", [text])
    assert message in str(error.value)


def test_words_of_other_scripts_are_named(scripts):
    with pytest.raises(ValueError, match=r"no iou here.*this script: data, epochs"):
        scripts.words.overrides_for("classifier", ["iou=0.5"])


def test_keys_pass_through(scripts):
    given = ["train.steps=3", "published={top1: 0.5}", "expected=null"]
    assert scripts.words.overrides_for("detector", given) == given
