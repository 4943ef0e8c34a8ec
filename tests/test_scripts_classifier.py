"""The scripts for classifiers, as a user runs them."""

import json
import re
import runpy
import sys
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import safetensors.numpy
import yaml
from PIL import Image

import keras_resnet
from keras_resnet.classification.model import load_classifier
from tests.keras_resnet.data.helpers import write_folder
from tests.keras_resnet.test_torchvision_golden import NAMES
from tests.rule_weights import rule_state

SCRIPTS = Path(__file__).parents[1] / "scripts"


def call(name, *arguments):
    """Runs a script in this process; returns its exit code."""
    patch = pytest.MonkeyPatch()
    with patch.context() as here:
        here.syspath_prepend(SCRIPTS)
        here.setattr(sys, "argv", [name, *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        except SystemExit as error:
            return error.code or 0
        return 0


@pytest.fixture
def script(capsys):
    """Runs a script here; returns exit code, stdout and stderr."""

    def run(name, *arguments):
        capsys.readouterr()
        return call(name, *arguments), *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    root = tmp_path_factory.mktemp("pets")
    write_folder(root / "train", {"cat": 6, "cow": 6, "dog": 6}, size=(40, 48))
    write_folder(root / "val", {"cat": 3, "cow": 2, "dog": 4}, size=(44, 40))
    return root


@pytest.fixture(scope="module")
def run_folder(pets, tmp_path_factory):
    project = tmp_path_factory.mktemp("runs")
    code = call(
        *("train_classifier.py", "finetune", "--quiet", "--set", f"data.root={pets}"),
        *("model.weights=null", "train.epochs=2", "data.pipeline.batch_size=6"),
        *("data.pipeline.image_size=32", "data.pipeline.eval_resize=36", f"run.project={project}"),
        *("model.options.stage_blocks=[1,1]", "model.options.width=8", "train.evaluation_batch=4"),
        *("published={source: a table, top1: 0.75}", "train.seed=1"),
    )
    assert code == 0
    return project / "finetune"


@pytest.fixture(scope="module")
def local_weights(tmp_path_factory):
    """A ResNet-18 of three classes, in torchvision's names."""
    model = keras_resnet.ResNet18(classes=3)
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    keras_resnet.save_safetensors(model, str(path))
    return path


def table_of(out):
    rows = [line.split() for line in out.splitlines()]
    return {row[0]: row[1:] for row in rows if row and row[0] in ("top-1", "top-5", "loss")}


def test_training_is_quiet_and_evaluation_repeats_its_figures(run_folder, script, tmp_path):
    metrics = json.loads((run_folder / "metrics.json").read_text())
    last = run_folder / "weights" / "last"
    code, out, err = script(
        *("evaluate_classifier.py", "--weights", last, "--output", tmp_path / "new" / "a.json")
    )
    assert (code, err) == (0, "")
    report = json.loads((tmp_path / "new" / "a.json").read_text())
    assert report["images"] == 9
    assert (report["resize"], report["crop"], report["published_top1"]) == (36, 32, 0.75)
    assert report["top1"] == pytest.approx(metrics["accuracy"])
    assert report["loss"] == pytest.approx(metrics["loss"], rel=1e-4)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.json"]
    code, out, err = script(
        *("evaluate_classifier.py", "--weights", last, "--output", tmp_path / "page")
    )
    assert (code, err) == (0, "")
    assert sorted(p.name for p in (tmp_path / "page").iterdir()) == [
        "confusion_matrix.png",
        "metrics.json",
        "report.html",
    ]
    assert json.loads((tmp_path / "page" / "metrics.json").read_text())["top1"] == report["top1"]
    # Trained and evaluated by different code, the same images are found.
    pages = [(f / "report.html").read_text() for f in (run_folder, tmp_path / "page")]
    found = [re.search("<h2>Classes.*(?=<h2>Configuration)", page).group() for page in pages]
    assert found[0] == found[1] and found[0].count("<figure>") == 9
    assert (run_folder / "results.png").is_file() and "<h2>Training" in pages[0]
    assert "<h2>Training" not in pages[1] and "<dd>one-crop</dd>" in pages[1]
    table = table_of(out)
    assert table["top-1"] == [f"{report['top1']:.4f}", "0.7500"]
    assert table["loss"] == [f"{report['loss']:.4f}", "-"]
    assert "note" not in out


def test_protocols_and_splits(run_folder, pets, script, tmp_path):
    losses = {}
    for protocol, options in {
        "one-crop": (),
        "ten-crop": ("--crop", "24"),
        "multi-scale": ("--scales", "32", "48"),
    }.items():
        code, out, _ = script(
            *("evaluate_classifier.py", "--weights", run_folder, "--data", pets / "train"),
            *("--protocol", protocol, "--limit", "7", "--batch", "3", *options),
            *("--output", tmp_path / "a.json"),
        )
        report = json.loads((tmp_path / "a.json").read_text())
        assert (code, report["images"], report["protocol"]) == (0, 7, protocol)
        losses[protocol] = report["loss"]
    assert report["scales"] == [32, 48] and "resize" not in report
    assert len(set(losses.values())) == 3
    # By a loop: the middle of each resized image.
    model = load_classifier(run_folder)
    paths = sorted((pets / "train").glob("*/*.png"))
    total = 0
    for position in (0, 3, 6, 8, 11, 14, 17):
        image = Image.open(paths[position]).resize((43, 36), Image.Resampling.BILINEAR)
        crop = np.asarray(image, "float32")[2:34, 6:38]  # 5.5 is rounded to the even 6
        z = model.predict_on_batch(crop[None])[0].astype("float64")
        total += np.log(np.exp(z).sum()) - z[position // 6]
    assert losses["one-crop"] == pytest.approx(total / 7, rel=1e-4)
    code, out, _ = script(
        *("evaluate_classifier.py", "--weights", run_folder, "--split", "train", "--limit", "2")
    )
    assert code == 0 and "train: 18 images, 3 classes" in out


def test_published_weights_from_the_hub(script, tmp_path, monkeypatch):
    """A file placed by hand, in ImageNet's form; images without names of classes."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    place = tmp_path / "keras_resnet" / "timm" / "resnet18.tv_in1k" / "model.safetensors"
    place.parent.mkdir(parents=True)
    state = rule_state(NAMES["resnet18"], ("bn2.weight",))
    safetensors.numpy.save_file(state, str(place))
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 52, 3), "uint8")
    # The right classes are those that the network finds most, sixth and least probable.
    network = keras_resnet.ResNet18(
        input_shape=(None, None, 3), classifier_activation=None, weights=str(place)
    )
    mean, std = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
    crops = ((images[:, 4:36, 10:42] / 255 - mean) / std).astype("float32")
    order = (-network.predict_on_batch(crops)).argsort(axis=1)
    labels = [order[0, 0], order[1, 4], order[2, 5]]
    names = np.array([999, 0])  # another split: classes up to 999
    np.savez(tmp_path / "a.npz", x_test=images, y_test=labels, y_train=names)
    for name in ("hf://timm/resnet18.tv_in1k", "resnet18.tv_in1k"):
        code, out, err = script(
            *("evaluate_classifier.py", "--weights", name, "--network", "ResNet18"),
            *("--data", tmp_path / "a.npz", "--resize", "0", "--crop", "32"),
        )
        assert (code, err) == (0, "")
        table = table_of(out)
        assert table["top-1"] == ["0.3333", "0.6976"]
        assert table["top-5"] == ["0.6667", "-"]
        assert "note: the order of the labels is not checked" in out
        assert "one-crop (as it is, crop 32), 3 images" in out
    code, _, err = script(
        *("evaluate_classifier.py", "--weights", name, "--network", "ResNet34"),
        *("--data", tmp_path / "a.npz"),
    )
    assert code == 2 and "those of ResNet18. Received: network='ResNet34'" in err


def test_local_weights(local_weights, pets, script):
    arguments = ("--data", pets, "--resize", "36", "--crop", "32", "--limit", "4")
    code, out, _ = script(
        *("evaluate_classifier.py", "--weights", local_weights, "--network", "ResNet18"),
        *arguments,
    )
    assert code == 0
    assert table_of(out)["top-1"][1] == "-"
    assert "weights do not name their classes" in out
    code, _, err = script("evaluate_classifier.py", "--weights", local_weights, *arguments)
    assert code == 2 and "Say which network the weights are for" in err


def test_everything_missing_is_said_at_once(script, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    code, _, err = script(
        *("evaluate_classifier.py", "--weights", "hf://timm/resnet50.tv_in1k"),
        *("--data", tmp_path / "imagenet"),
    )
    assert code == 2
    weights, data = (line for line in err.splitlines() if line.startswith("  "))
    assert "weights: model.safetensors of timm/resnet50.tv_in1k is not on this machine" in weights
    placed = tmp_path / "keras_resnet" / "timm" / "resnet50.tv_in1k" / "model.safetensors"
    assert str(placed) in weights
    assert data.strip().startswith("data: There is no data set") and "imagenet" in data


def test_labels_of_another_meaning_are_refused(run_folder, local_weights, pets, script, tmp_path):
    write_folder(tmp_path / "a", {"cat": 1, "cow": 1, "elk": 1})
    code, _, err = script(
        "evaluate_classifier.py", "--weights", run_folder, "--data", tmp_path / "a"
    )
    assert code == 2
    assert "other classes than the classifier. Received: data set cat, cow, elk" in err
    write_folder(tmp_path / "b", {"n01440764": 1, "n01443537": 1})
    code, _, err = script(
        *("evaluate_classifier.py", "--weights", local_weights, "--network", "ResNet18"),
        *("--data", tmp_path / "b"),
    )
    assert code == 2 and "2 classes and the classifier 3" in err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--protocol", "multi-scale", "--crop", "32"), "--resize and --crop have no effect"),
        (("--scales", "32"), "--scales is for --protocol multi-scale"),
        (("--batch", "0"), "must be at least 1"),
        (("--resize", "-1"), "--resize must be at least 0"),
    ],
)
def test_options_without_effect_are_refused(arguments, message, script):
    code, _, err = script("evaluate_classifier.py", "--weights", "x", *arguments)
    assert code == 2 and message in err


def test_classify(run_folder, pets, script, tmp_path):
    one = pets / "val" / "dog" / "1.png"
    code, out, err = script(
        *("classify.py", one, pets / "val" / "cat", "--weights", run_folder, "--top", "2"),
        *("--output", tmp_path / "a.json"),
    )
    assert (code, err) == (0, "")
    found = json.loads((tmp_path / "a.json").read_text())
    assert list(found) == [str(one), *(str(pets / "val" / "cat" / f"{i}.png") for i in range(3))]
    image = Image.open(one).resize((36, 39), Image.Resampling.BILINEAR)
    crop = np.asarray(image, "float32")[4:36, 2:34]  # 3.5 is rounded to the even 4
    z = load_classifier(run_folder).predict_on_batch(crop[None])[0].astype("float64")
    p = np.exp(z) / np.exp(z).sum()
    order = np.argsort(-p)[:2]
    assert [name for name, _ in found[str(one)]] == [("cat", "cow", "dog")[i] for i in order]
    assert [share for _, share in found[str(one)]] == pytest.approx(p[order].tolist(), rel=1e-4)
    assert f"{one}: {found[str(one)][0][0]} {p.max():.3f}, " in out
    code, _, err = script("classify.py", tmp_path / "no.png", "--weights", run_folder)
    assert code == 2 and str(tmp_path / "no.png") in err


def test_names_of_files_do_not_command_the_terminal(run_folder, pets, script, tmp_path):
    name = "a\x1b]0;pwn\x07.png"
    Image.open(pets / "val" / "dog" / "1.png").save(tmp_path / name)
    code, out, err = script("classify.py", tmp_path, "--weights", run_folder)
    assert (code, err) == (0, "")
    assert "a\\x1b]0;pwn\\x07.png: " in out and out.replace("\n", "").isprintable()
    (tmp_path / name).write_text("no picture")
    code, _, err = script("classify.py", tmp_path, "--weights", run_folder)
    assert code == 2
    assert "a\\x1b]0;pwn\\x07.png" in err and err.replace("\n", "").isprintable()


def test_configurations_are_listed_and_printed(script):
    code, out, _ = script("train_classifier.py", "--list")
    assert code == 0 and "cifar10_resnet110" in out.split()
    code, out, err = script(
        *("train_classifier.py", "cifar10_resnet110", "--dry-run"),
        *("--set", "train.steps=7", "data.root=nowhere"),
    )
    config = yaml.safe_load(out)
    assert (config["train"]["steps"], config["train"]["warmup_length"]) == (7, 400)
    assert code == 2 and "nowhere" in err
    code, _, err = script("train_classifier.py", "cifar10_resnet111")
    assert code == 2 and "Did you mean 'cifar10_resnet110'?" in err


def test_dry_run_tells_sizes(pets, run_folder, script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = script(
        *("train_classifier.py", run_folder / "config.yaml", "--dry-run", "--epochs", "5"),
        *("--batch", "4", "--data", pets),
    )
    assert code == 0 and not list(tmp_path.iterdir())
    assert yaml.safe_load(out)["train"]["epochs"] == 5
    # 18 images; the two that do not fill a batch are left out.
    assert "# steps: 4 an epoch, 20 in all, 5 epochs" in out
    assert "# batches of train: images [4, 32, 32, 3]" in out
    parameters = load_classifier(run_folder).get_layer("network").count_params()
    assert f"3 classes, {parameters:,} parameters" in out
