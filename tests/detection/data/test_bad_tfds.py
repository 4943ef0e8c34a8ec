"""Prepared data of TensorFlow Datasets that is damaged, incomplete, or asks for code."""

import io
import json
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from detection.data import DataError
from detection.data.tfds import load_tfds
from keras_resnet.data import tfds as classification
from tests.detection.data.test_tfds import _write as write

BOX = tfds.features.BBox(0.25, 0.1, 0.75, 0.5)


def picture(size=(20, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "JPEG")
    buffer.seek(0)
    return buffer


def features(**objects):
    described = {
        "bbox": tfds.features.BBoxFeature(),
        "label": tfds.features.ClassLabel(names=["a", "b"]),
        **objects,
    }
    wanted = {name: value for name, value in described.items() if value is not None}
    return tfds.features.FeaturesDict(
        {"image": tfds.features.Image(), "objects": tfds.features.Sequence(wanted)}
    )


def prepared(folder, examples=2):
    write(
        str(folder),
        "own_set",
        "1.0.0",
        features(),
        [{"image": picture(), "objects": [{"bbox": BOX, "label": 1}]} for _ in range(examples)],
    )
    return folder / "own_set" / "1.0.0"


def test_a_sound_set(tmp_path):
    prepared(tmp_path)
    dataset = load_tfds("own_set", "train", data_dir=tmp_path)
    np.testing.assert_allclose(dataset.records[0].boxes, [[2, 7.5, 10, 22.5]], atol=1e-4)


@pytest.mark.parametrize("missing", ["bbox", "label"])
def test_missing_features_are_named(tmp_path, missing):
    rest = {"bbox": BOX, "label": 1}
    del rest[missing]
    examples = [{"image": picture(), "objects": [rest]}] * 2
    write(str(tmp_path), "own_set", "1.0.0", features(**{missing: None}), examples)
    with pytest.raises(DataError, match=r"needs the features 'image' and 'objects'.*Found"):
        load_tfds("own_set", "train", data_dir=tmp_path)
    with pytest.raises(DataError, match=r"needs the features 'image' .* and 'label'"):
        classification.load_tfds("own_set", "train", data_dir=tmp_path)


def test_unknown_split(tmp_path):
    prepared(tmp_path)
    with pytest.raises(DataError, match=r"has the splits train.*Received: split='test'"):
        load_tfds("own_set", "test", data_dir=tmp_path)


@pytest.mark.parametrize("keep", [0.9, 0.5, 5e-3, 0.0])
def test_files_that_are_cut_off(tmp_path, keep):
    folder = prepared(tmp_path)
    (path, *_) = sorted(folder.glob("*.tfrecord*"))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match="own_set"):
        load_tfds("own_set", "train", data_dir=tmp_path)


def test_an_image_that_does_not_decode_is_left_out_or_refused(tmp_path):
    objects = [{"bbox": BOX, "label": 1}]
    examples = [{"image": picture(), "objects": objects} for _ in range(4)]
    examples[1]["image"] = io.BytesIO(b"\xff\xd8\xff no image")
    write(str(tmp_path), "own_set", "1.0.0", features(), examples)
    with pytest.raises(DataError, match="1 found, 0 allowed"):
        load_tfds("own_set", "train", data_dir=tmp_path)
    dataset = load_tfds("own_set", "train", data_dir=tmp_path, max_bad_images=1)
    assert len(dataset) == 3 and dataset.problems.counts() == {"undecodable_image": 1}


def test_labelled_images_that_do_not_decode_are_left_out_or_refused(tmp_path):
    described = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["a", "b"])}
    )
    examples = [{"image": picture(), "label": i % 2} for i in range(4)]
    examples[2]["image"] = io.BytesIO(b"\xff\xd8\xff no image")
    write(str(tmp_path), "own_set", "1.0.0", described, examples)
    with pytest.raises(DataError, match="1 found, 0 allowed"):
        classification.load_tfds("own_set", "train", data_dir=tmp_path)
    data = classification.load_tfds("own_set", "train", data_dir=tmp_path, max_bad_images=1)
    assert len(data) == 3 and data.problems.counts() == {"undecodable_image": 1}
    assert all(data.read(i).shape == (30, 20, 3) for i in range(3))


@pytest.mark.parametrize("key", ["pythonClassName", "type", "json"])
def test_classes_of_others_are_not_imported(tmp_path, monkeypatch, key):
    folder = prepared(tmp_path)
    (tmp_path / "hostile_module.py").write_text("open('exploded', 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = folder / "features.json"
    content = json.loads(path.read_text())
    name = "hostile_module.Image"
    if key == "json":
        content["jsonFeature"] = {"json": json.dumps({"type": name, "content": {}})}
    else:
        content[key] = name
    path.write_text(json.dumps(content))
    for load in (load_tfds, classification.load_tfds):
        with pytest.raises(DataError, match=r"features\.json asks for hostile_module\.Image"):
            load("own_set", "train", data_dir=tmp_path)
    assert "hostile_module" not in sys.modules and not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, '{"a": "\ud800"}'])
def test_descriptions_that_are_no_json(tmp_path, text):
    folder = prepared(tmp_path)
    (folder / "features.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"features\.json is not readable JSON"):
        load_tfds("own_set", "train", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["huggingface:mnist", "someone:their_set/plain"])
def test_data_sets_whose_code_would_be_fetched(tmp_path, name):
    with pytest.raises(DataError, match="run the code of others"):
        load_tfds(name, "train", data_dir=tmp_path)
