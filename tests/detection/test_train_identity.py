"""A detector's run goes on with its own images, boxes, classes and settings only."""

import json
import shutil

import pytest
import yaml
from PIL import Image

import detection
from detection.datasets import open_dataset
from detection.run_identity import identity_of
from tests.detection.coco_folder import tiny_settings, write_coco
from tests.keras_resnet.training import test_loop


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of data sets and a run, as if it had been stopped after its first step."""
    root = tmp_path_factory.mktemp("begun")
    train = write_coco(root / "train", 4)
    val = write_coco(root / "val", 2, seed=1, first_id=201)
    settings = tiny_settings(train, val, root / "runs")
    (root / "tiny.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    config = detection.load_config(str(root / "tiny.yaml"))
    identity = identity_of(config, {s: open_dataset(config.data, s) for s in ("train", "val")})
    # The weights are never looked at: what differs is said before anything is built.
    test_loop.train(root / "runs" / "tiny", steps=1, identity=identity)
    return root


def resume(root, *overrides):
    overrides = ["run.resume=true", *overrides]
    config = detection.load_config(str(root / "tiny.yaml"), overrides)
    detection.train_detector(config, say=lambda line: None)


def annotations(change):
    def edit(root):
        path = root / "train" / "annotations.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return edit


def move_a_box(content):
    content["annotations"][2]["bbox"][0] += 1


def change_a_class(content):
    kinds = [category["id"] for category in content["categories"]]
    row = content["annotations"][0]
    row["category_id"] = next(kind for kind in kinds if kind != row["category_id"])


def remove_an_image(content):
    gone = content["images"].pop()["id"]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != gone]


def other_pixels(root):
    path = root / "train" / "images" / "picture_102.png"
    with Image.open(path) as image:
        size = image.size
    Image.new("RGB", size, (9, 9, 9)).save(path)


def another_class_name(root):
    for split in ("train", "val"):
        path = root / split / "annotations.json"
        path.write_text(path.read_text().replace('"red"', '"pink"'), encoding="utf-8")


@pytest.mark.parametrize(
    "change, fields",
    [
        (annotations(move_a_box), r"images\.train\.sha256$"),
        (annotations(change_a_class), r"images\.train\.sha256$"),
        (annotations(remove_an_image), r"images\.train\.count was 4, is 3; .*sha256$"),
        (other_pixels, r"images\.train\.sha256$"),
        (another_class_name, r"class_names was \['red', .* is \['pink', 'green', 'blue'\]$"),
    ],
)
def test_other_data_are_refused(begun, tmp_path, change, fields):
    shutil.copytree(begun, tmp_path / "kept")
    change(begun)
    try:
        with pytest.raises(ValueError, match=f"continue it with the same. Different: {fields}"):
            resume(begun)
    finally:
        shutil.rmtree(begun)
        shutil.copytree(tmp_path / "kept", begun)


def test_another_setting_is_refused(begun):
    with pytest.raises(ValueError, match=r"Different: train\.learning_rate was 0\.005, is 0\.5$"):
        resume(begun, "train.learning_rate=0.5")


def test_the_same_is_accepted(begun):
    # What follows is about the weights, which are another model's.
    with pytest.raises(ValueError, match=r"was saved with the optimizer|do not fit this model"):
        resume(begun, "train.tensorboard=false")
