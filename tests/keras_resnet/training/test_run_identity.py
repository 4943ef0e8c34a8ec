"""A classifier's run is continued by its position alone, and on its own data only."""

import json

import pytest
from PIL import Image

from keras_resnet.classification.config import ClassifierConfig
from keras_resnet.classification.train import train_classifier
from keras_resnet.training.training_state import read_extra
from tests.keras_resnet.data.helpers import write_folder


def config_of(root, project, resume=False, steps=5):
    return ClassifierConfig.model_validate(
        {
            "model": {"name": "ResNet18", "options": {"stage_blocks": [1], "width": 4}},
            "data": {
                "format": "folder",
                "root": str(root),
                "train": "train",
                "val": "val",
                "mean": [120, 120, 120],
                "std": [60, 60, 60],
                "pipeline": {"batch_size": 2, "image_size": 8, "eval_resize": 8},
            },
            "train": {"steps": steps, "schedule": "constant", "state_every": 1, "seed": 7},
            "run": {"project": str(project), "name": "a", "resume": resume},
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_folder(root / "train", {"cat": 4, "dog": 4}, size=(9, 9))
    write_folder(root / "val", {"cat": 1, "dog": 1}, size=(9, 9))
    folder, _ = train_classifier(config_of(root, root / "runs"), lambda line: None)
    return root, folder


def test_the_position_is_a_seed_an_epoch_and_a_number(trained):
    _, folder = trained
    state = folder / "weights" / "state"
    extra = read_extra(state)
    assert (extra["epoch"], extra["batch"], extra["done"]) == (1, 1, 5)
    seeds = [extra["identity"]["train"]["seed"], extra["identity"]["data"]["pipeline"]["seed"]]
    assert seeds == [7, None]
    place = {"seeds": seeds, **{key: extra[key] for key in ("epoch", "batch", "done")}}
    assert len(json.dumps(place)) < 1000
    # Beside it and the configuration there is nothing about the input: no buffer, no iterator.
    assert set(extra) == {"epoch", "batch", "done", "logs", "identity", "callbacks"}
    assert set(extra["callbacks"]) == {"Checkpoints"}
    files = {path.name for path in state.iterdir()}
    assert files == {"manifest.json", "state.json"} | {
        f"{name}.safetensors" for name in ("weights", "optimizer", "more")
    }


def resumed(trained, **options):
    root, _ = trained
    return train_classifier(config_of(root, root / "runs", True, **options), lambda line: None)


def test_an_unchanged_run_is_accepted(trained):
    assert resumed(trained)[0] == trained[1]


def other_pixels(root):
    path = sorted((root / "train" / "cat").iterdir())[0]
    before = path.read_bytes()
    Image.new("RGB", (9, 9), (1, 2, 3)).save(path, format="PNG")
    return lambda: path.write_bytes(before)


def one_byte(root):
    path = sorted((root / "train" / "cat").iterdir())[1]
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    return lambda: path.write_bytes(before)


def another_label(root):
    path = sorted((root / "train" / "dog").iterdir())[0]
    moved = path.rename(root / "train" / "cat" / path.name.replace(".", "_moved."))
    return lambda: moved.rename(path)


def another_class(root):
    for split in ("train", "val"):
        (root / split / "dog").rename(root / split / "wolf")

    def undo():
        for split in ("train", "val"):
            (root / split / "wolf").rename(root / split / "dog")

    return undo


def one_image_less(root):
    path = sorted((root / "val" / "dog").iterdir())[0]
    (root / "val" / "cat" / "copy.png").write_bytes(path.read_bytes())
    return lambda: (root / "val" / "cat" / "copy.png").unlink()


@pytest.mark.parametrize(
    "change, fields",
    [
        (other_pixels, r"images\.train\.sha256$"),
        (one_byte, r"images\.train\.sha256$"),
        (another_label, r"images\.train\.sha256$"),
        (another_class, r"class_names was \('cat', 'dog'\)|class_names.*images\.train\.sha256"),
        (one_image_less, r"images\.val\.count was 2, is 3; images\.val\.sha256$"),
    ],
)
def test_other_data_are_refused(trained, change, fields):
    undo = change(trained[0])
    try:
        with pytest.raises(ValueError, match=f"continue it with the same. Different: .*{fields}"):
            resumed(trained)
    finally:
        undo()


def test_another_configuration_is_refused(trained):
    with pytest.raises(ValueError, match=r"Different: train\.steps was 5, is 6$"):
        resumed(trained, steps=6)
