"""`--max-bad-images`: what may be left out, and where it is written down."""

import json
import shutil

import pytest
import yaml


@pytest.fixture
def broken(tiny_run, tmp_path):
    """The validation data with an image that does not decode and a box that is none."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny_run.val, folder)
    (folder / "images" / "picture_202.png").write_bytes(b"")
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [1, 2, 3]
    path.write_text(json.dumps(content))
    return folder


def evaluate(in_process, tiny_run, broken, *arguments):
    return in_process(
        *("evaluate_detector.py", tiny_run.folder, *arguments, "--set"),
        *(f"data.val.images={broken}/images", f"data.val.annotations={broken}/annotations.json"),
    )


def test_evaluation(tiny_run, in_process, broken, tmp_path):
    code, _, err = evaluate(in_process, tiny_run, broken)
    assert code == 2 and "1 found, 0 allowed" in err
    assert "picture_202.png" in err and "max_bad_images" in err
    output = tmp_path / "figures"
    code, out, err = evaluate(
        in_process, tiny_run, broken, "--max-bad-images", "1", "--output", output
    )
    assert (code, err) == (0, "")
    assert "1  images that do not decode" in out and "picture_202.png" in out
    found = json.loads((output / "problems.json").read_text())["val"]
    assert {kind: entry["count"] for kind, entry in found.items()} == {
        "undecodable_image": 1,
        "malformed_box": 1,
    }
    assert "picture_202.png" in found["undecodable_image"]["first"][0]
    assert "[1, 2, 3]" in found["malformed_box"]["first"][0]


def test_a_run_without_problems_says_so(tiny_run):
    found = json.loads((tiny_run.folder / "problems.json").read_text())
    assert found == {"train": {}, "val": {}}


@pytest.mark.parametrize(
    "script",
    [
        ("train_detector.py", "quickstart"),
        ("train_classifier.py", "cifar10_resnet20", "--set", "data.format=folder", "data.root=x"),
    ],
)
def test_training_takes_the_number(in_process, script):
    shown = 2 if "data.root=x" in script else 0  # There is no x.
    code, out, _ = in_process(*script, "--max-bad-images", "3", "--dry-run")
    assert code == shown and yaml.safe_load(out)["data"]["max_bad_images"] == 3
    code, out, _ = in_process(*script, "--dry-run")
    assert code == shown and yaml.safe_load(out)["data"]["max_bad_images"] == 0
