"""Common mistakes, each with one message that says what to do instead of a traceback."""

import os
import shutil

import numpy as np
import pytest
import yaml

import detection
from detection.saving import save_model
from keras_resnet.classification.model import build_classifier, save_classifier
from tests.detection.coco_folder import tiny_settings, write_coco
from tests.detection.small_model import small_model
from tests.keras_resnet.data.helpers import write_folder
from tests.test_scripts_classifier import call

RED = [{"id": 3, "name": "red"}, {"id": 7, "name": "blue"}, {"id": 9, "name": "green"}]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Data, configurations and models with nothing wrong, and some with one thing wrong."""
    root = tmp_path_factory.mktemp("mistakes")
    train, val = write_coco(root / "train", 8), write_coco(root / "val", 3, 1, 201)
    (root / "own.yaml").write_text(yaml.safe_dump(tiny_settings(train, val, root / "runs")))
    write_coco(root / "other", 3, 1, 201, categories=RED)
    write_coco(root / "bare", 2, edit=lambda content: content["annotations"].clear())
    network = build_classifier("CifarResNet20", {"stage_blocks": [1, 1], "width": 4}, "ab")
    save_classifier(network, root / "flowers" / "weights" / "best")
    # As training writes it: of keys that a detector's has not.
    (root / "flowers" / "config.yaml").write_text("model: {name: CifarResNet20}")
    (root / "exported" / "1").mkdir(parents=True)
    (root / "exported" / "1" / "saved_model.pb").write_bytes(b"")
    (root / "run").mkdir()
    (root / "run" / "config.yaml").write_text("{}")
    (root / "broken.yaml").write_text("model: {backbone: [")
    (root / "text.jpg").write_text("no picture")
    (root / "empty").mkdir()
    write_folder(root / "pets" / "train", {"cat": 3, "dog": 3})
    write_folder(root / "pets" / "val", {"cat": 1, "elk": 1})
    write_folder(root / "flat", {"train": 2, "val": 2})
    save_model(small_model(), root / "model")
    save_model(small_model(), root / "damaged")
    weights = next((root / "damaged").rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    (root / "served" / "1").mkdir(parents=True)
    (root / "yolo").mkdir()
    (root / "yolo" / "data.yaml").write_text("train: images/train\nnames: [a]\n")
    (root / "yolo" / "images").mkdir()
    shutil.copytree(train / "images", root / "yolo" / "images" / "train")
    (root / "yolo" / "labels" / "train").mkdir(parents=True)
    for image in (train / "images").iterdir():
        label = root / "yolo" / "labels" / "train" / f"{image.stem}.txt"
        label.write_text("0 0.5 0.5 0.2 0.2\n")
    return root


TRAIN, OWN = "train_detector.py", "HERE/own.yaml"
# name: (script, arguments, words of the message that say what is wrong and what to do)
MISTAKES = {
    "no such configuration": (TRAIN, ["quikstart"], "Did you mean 'quickstart'?"),
    "configuration that is no YAML": (TRAIN, ["HERE/broken.yaml"], "broken.yaml"),
    "typo in a key": (TRAIN, [OWN, "--set", "train.stepz=3"], "did you mean train.steps?"),
    "typo in a word": (TRAIN, [OWN, "--set", "epoch=3"], "did you mean epochs?"),
    "text where a number belongs": (TRAIN, [OWN, "--batch", "many"], "data.pipeline.batch_size:"),
    "batch of nothing": (TRAIN, [OWN, "--batch", "0"], "must be at least 1"),
    "steps and epochs": (
        TRAIN,
        [OWN, "--set", "train.epochs=2"],
        "give either `steps` or `epochs`, and null for the other",
    ),
    "wrong path, not the sample set": (TRAIN, ["--data", "HERE/photos"], "There is no HERE/photos"),
    "wrong path to look at": ("check_data.py", ["--set", "data=HERE/photos"], "HERE/photos"),
    "data where the configuration goes": (
        "check_data.py",
        ["HERE/pets"],
        "HERE/pets is a folder, not a configuration. Give its data: --data HERE/pets",
    ),
    "run where the configuration goes": (
        TRAIN,
        ["HERE/run"],
        "Give its configuration: HERE/run/config.yaml",
    ),
    "the same as a flag": ("check_data.py", ["--data", "HERE/photos"], "--data data.yaml"),
    "folder without annotations": (TRAIN, ["--data", "HERE/pets/train"], "cat/, dog/"),
    "COCO file without images": (
        TRAIN,
        ["--data", "HERE/train/annotations.json"],
        "--set data.format=coco data.root=null data.train.images=FOLDER "
        "data.train.annotations=HERE/train/annotations.json",
    ),
    "COCO folder of unknown splits": (
        TRAIN,
        ["finetune_custom", "--data", "HERE/train"],
        "data.train.annotations=HERE/train/annotations.json",
    ),
    "root that is no sample set": (
        TRAIN,
        ["--set", "data.root=HERE/pets"],
        "their data.format (coco, voc, yolo, csv)",
    ),
    "a file for the sample set": (
        TRAIN,
        ["--dry-run", "--set", "data.root=HERE/text.jpg"],
        "is not a sample set",
    ),
    "root of COCO": (
        TRAIN,
        ["finetune_custom", "--set", "data.root=HERE/train"],
        "Write data.root=null data.train.images=FOLDER data.train.annotations=FILE.json",
    ),
    "another's name after --set": (TRAIN, [OWN, "--set", "lr=3"], "mean train.learning_rate"),
    "dry run of data that are not there": (
        TRAIN,
        ["bccd", "--data", "HERE/photos", "--dry-run"],
        "Tried: HERE/photos/Annotations",
    ),
    "wrong path of the data": (TRAIN, ["bccd", "--data", "HERE/photos"], "HERE/photos"),
    "wrong format": (
        TRAIN,
        ["bccd", "--data", "HERE/train"],
        "HERE/train",
    ),
    "annotations that are an image": (
        TRAIN,
        [OWN, "--set", "data.train.annotations=HERE/text.jpg"],
        "text.jpg",
    ),
    "missing split": (TRAIN, ["quickstart", "--data", "HERE/yolo/data.yaml"], "val"),
    "class names in another order": (
        TRAIN,
        [OWN, "--set", "data.val.annotations=HERE/other/annotations.json"],
        "same classes in the same order",
    ),
    "no boxes to learn from": (
        TRAIN,
        [OWN, "--set", "data.train.annotations=HERE/bare/annotations.json"],
        "no boxes",
    ),
    "images too small": (TRAIN, [OWN, "--imgsz", "8"], "set imgsz"),
    "name that is a path": (TRAIN, [OWN, "--name", "a/b"], "run's name is letters, digits"),
    "name before data": (TRAIN, ["bccd", "--name", "a/b"], "run's name is letters, digits"),
    "project that is a file": (
        TRAIN,
        ["bccd", "--project", "HERE/text.jpg"],
        "HERE/text.jpg is a file; choose another folder",
    ),
    "project of a classifier in a file": (
        "train_classifier.py",
        ["finetune", "--data", "HERE/empty", "--project", "HERE/text.jpg/runs"],
        "HERE/text.jpg is a file; choose another folder",
    ),
    "nothing to continue, before data": (TRAIN, ["bccd", "--resume"], "nothing to continue"),
    "predictions into a file": (
        "predict.py",
        ["HERE/model", "HERE/train/images", "--output", "HERE/text.jpg"],
        "HERE/text.jpg is a file; choose another folder",
    ),
    "figures of a detector into a file": (
        "evaluate_detector.py",
        ["HERE/runs/none", "--output", "HERE/text.jpg"],
        "HERE/text.jpg is a file; choose another folder",
    ),
    "figures of a classifier into a file": (
        "evaluate_classifier.py",
        ["--weights", "HERE/none", "--output", "HERE/text.jpg"],
        "HERE/text.jpg is a file; choose another folder",
    ),
    "figures into a file in a file": (
        "evaluate_classifier.py",
        ["--weights", "HERE/none", "--output", "HERE/text.jpg/x.json"],
        "HERE/text.jpg is a file; choose another folder",
    ),
    "classes into a file in a file": (
        "classify.py",
        ["HERE/text.jpg", "--weights", "HERE/none", "--output", "HERE/text.jpg/x.json"],
        "HERE/text.jpg is a file; choose another folder",
    ),
    "classes into a folder": (
        "classify.py",
        ["HERE/text.jpg", "--weights", "HERE/none", "--output", "HERE/empty"],
        "HERE/empty is a folder; choose another file",
    ),
    "evaluating a classifier as a detector": (
        "evaluate_detector.py",
        ["HERE/flowers"],
        "HERE/flowers holds a classifier, not a detector: classify.py, evaluate_classifier.py",
    ),
    "detecting with a classifier": (
        "predict.py",
        ["HERE/flowers", "HERE/train/images"],
        "HERE/flowers holds a classifier, not a detector: classify.py",
    ),
    "classifying with a detector": (
        "classify.py",
        ["HERE/text.jpg", "--weights", "HERE/model"],
        "HERE/model holds a detector, not a classifier: predict.py, evaluate_detector.py",
    ),
    "evaluating a detector as a classifier": (
        "evaluate_classifier.py",
        ["--weights", "HERE/model"],
        "HERE/model holds a detector, not a classifier: predict.py, evaluate_detector.py",
    ),
    "training from a classifier": (
        TRAIN,
        [OWN, "--set", "train.start_from=HERE/flowers"],
        "HERE/flowers holds a classifier, not a detector",
    ),
    "detecting with an export": (
        "predict.py",
        ["HERE/exported", "HERE/train/images"],
        "give the run folder it was exported from",
    ),
    "overwriting a run": (TRAIN, [OWN, "--exist-ok"], "never overwritten"),
    "nothing to continue": (TRAIN, [OWN, "--resume"], "nothing to continue"),
    "a GPU that is not there": (TRAIN, [OWN, "--device", "7"], "Use --device cpu"),
    "a device that is none": (TRAIN, [OWN, "--device", "gpu"], "device is cpu, all, or"),
    "more devices than there are": (
        TRAIN,
        [OWN, "--set", "train.devices=64", "batch=64"],
        "from 1 to",
    ),
    "no run to predict with": (
        "predict.py",
        ["HERE/runs/none", "HERE/text.jpg"],
        "No saved detector at",
    ),
    "no image": ("predict.py", ["HERE/model", "HERE/photo.jpg"], "There is no file or folder"),
    "folder without images": ("predict.py", ["HERE/model", "HERE/empty"], "holds no images"),
    "confidence in percent": ("predict.py", ["HERE/model", "HERE/train/images", "--conf", "50"],
                              "from 0 to 1"),
    "damaged weights": ("predict.py", ["HERE/damaged", "HERE/train/images"], "damaged"),
    "export over an existing one": (
        "export_saved_model.py",
        ["HERE/model", "HERE/served", "--version", "1"],
        "HERE/served/1",
    ),
    "evaluation without data": ("evaluate_detector.py", ["HERE/model"], "say with --config"),
    "data of other classes than the model's": (
        "evaluate_detector.py",
        ["HERE/model", "--config", OWN, "--set",
         "data.val.annotations=HERE/other/annotations.json"],
        "model's classes in the same order",
    ),
    "classes that differ between splits": (
        "train_classifier.py",
        ["finetune", "--data", "HERE/pets", "--set", "model.weights=null"],
        "same classes in the same order",
    ),
    "no folders of classes": (
        "train_classifier.py",
        ["finetune", "--data", "HERE/empty", "--set", "model.weights=null"],
        "HERE/empty",
    ),
    "a word of detectors for a classifier": (
        "train_classifier.py",
        ["finetune", "--set", "iou=0.5"],
        "no iou here",
    ),
}  # fmt: skip


def message_of(script, arguments, here, capsys):
    capsys.readouterr()
    code = call(script, *(argument.replace("HERE", str(here)) for argument in arguments))
    out, err = capsys.readouterr()
    assert code == 2, out + err
    assert "Traceback" not in err and "Traceback" not in out
    assert err.count("error: ") == 1 and err.startswith("error: ")
    return err


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """What the word `device` may change; runs go into a folder of the test."""
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.delenv("DETECTION_TRACEBACK", raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_message_says_what_to_do(mistake, here, environment, capsys):
    script, arguments, words = MISTAKES[mistake]
    message = message_of(script, arguments, here, capsys)
    assert words.replace("HERE", str(here)) in message
    # One message, not a page.
    assert len(message.splitlines()) <= 12


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["epochs=3"], "--set epochs=3, or --epochs 3"),
        (["epochs=3", "batch=4"], "--set epochs=3, or --epochs 3"),
        (["quickstart", "train.steps=3"], "Put it behind --set: --set train.steps=3"),
        (["quickstart", "--lr", "0.1"], "--set train.learning_rate="),
        (["quickstart", "--lr=0.1"], "--set train.learning_rate=0.1"),
        (["quickstart", "--batch-size", "4"], "--batch"),
        (["--config", "quickstart"], "The configuration goes first, without a flag"),
        (["--config-file=quickstart"], "The configuration goes first, without a flag"),
        (["cfg=quickstart"], "The configuration goes first, without a flag"),
    ],
)
def test_how_other_tools_are_called(arguments, words, environment, capsys):
    assert call(TRAIN, *arguments) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_wrong_path_of_data_is_left_alone(environment, tmp_path, capsys):
    for script in (TRAIN, "check_data.py"):
        assert call(script, "--data", "photos") == 2
    assert list(tmp_path.iterdir()) == []


def test_at_least_twenty():
    assert len(MISTAKES) >= 20


def test_wrong_backend_variable(here, environment, capsys):
    environment.setenv("KERAS_BACKEND", "tensorflo")
    message = message_of(TRAIN, ["HERE/own.yaml"], here, capsys)
    assert "must be tensorflow or jax" in message


@pytest.fixture
def no_weights(environment, tmp_path):
    import huggingface_hub.constants

    environment.setenv("KERAS_HOME", str(tmp_path))
    environment.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    environment.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return environment


CLASSIFIER = ("train_classifier.py", "finetune", "--data", "HERE/pets", "--set", "data.val=train")


def test_published_weights_that_are_not_here(here, no_weights, capsys, tmp_path):
    script, *arguments = CLASSIFIER
    message = message_of(script, arguments, here, capsys)
    assert "is not on this machine" in message and str(tmp_path / "keras_resnet") in message
    assert message_of(script, [*arguments, "--dry-run"], here, capsys) == message


@pytest.mark.parametrize(
    "weights, words",
    [
        ("train.start_from=fasterrcnn_resnet50_fpn_coco", "are not on this machine"),
        ("train.start_from=HERE/none", "HERE/none', which does not exist"),
        ("train.start_from=HERE/flowers", "holds a classifier, not a detector"),
        ("train.start_from=HERE/none.safetensors", "There is no weights file HERE/none"),
        ("train.start_from=HERE/none.pth", "Pickled checkpoints are not read"),
        (
            "model.backbone={depth: 18, levels: [C3, C4, C5], weights: HERE/none.safetensors}",
            "There is no weights file",
        ),
        (
            "model.backbone={depth: 18, levels: [C3, C4, C5], weights: HERE/none.keras}",
            "There is no weights file",
        ),
        (
            "model.backbone={depth: 18, levels: [C3, C4, C5], weights: imagenet}",
            "could not be downloaded",
        ),
    ],
)
def test_a_dry_run_misses_the_weights_as_the_run_does(weights, words, here, no_weights, capsys):
    weights = weights.replace("HERE", str(here))
    script, *arguments = TRAIN, OWN, "--set", weights
    real = message_of(script, arguments, here, capsys)
    assert message_of(script, [*arguments, "--dry-run"], here, capsys) == real
    assert words.replace("HERE", str(here)) in real


def test_a_dry_run_tells_what_would_be_downloaded(here, no_weights, capsys):
    import huggingface_hub.constants

    no_weights.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    name, *arguments = (a.replace("HERE", str(here)) for a in CLASSIFIER)
    for weights, told in (("imagenet", "hf://timm/resnet50.tv_in1k"), ("hf://a/b", "hf://a/b")):
        code = call(name, *arguments, f"model.weights={weights}", "--dry-run")
        assert code == 0
        line = f"# the weights {told} are not on this machine: the run downloads them\n"
        assert line in capsys.readouterr().out


@pytest.mark.parametrize("framework", ["tensorflow", "jax", "numpy"])
def test_out_of_memory(framework, here, environment, capsys):
    def exhausted(*arguments, **options):
        if framework == "numpy":
            np.zeros((2**50, 2**10), "uint8")
        text = "Out of memory while trying to allocate 8589934592 bytes."
        if framework == "jax":
            jax = pytest.importorskip("jax")
            raise jax.errors.JaxRuntimeError(f"RESOURCE_EXHAUSTED: {text}")
        tf = pytest.importorskip("tensorflow")
        raise tf.errors.ResourceExhaustedError(None, None, text)

    environment.setattr(detection, "train_detector", exhausted)
    message = message_of(TRAIN, ["HERE/own.yaml"], here, capsys)
    assert "Out of memory" in message and "smaller batches (batch=4)" in message
    if framework != "numpy":
        assert "8 GiB more were wanted" in message


def test_other_bugs_keep_their_traceback(here, environment):
    def broken(*arguments, **options):
        raise KeyError("a bug")

    environment.setattr(detection, "train_detector", broken)
    with pytest.raises(KeyError, match="a bug"):
        call(TRAIN, str(here / "own.yaml"), "--quiet")
