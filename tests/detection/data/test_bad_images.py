"""Every image file of the table in `bad_images.py`, in both input pipelines."""

import json

import numpy as np
import pytest
from PIL import EpsImagePlugin

from detection.config import DataConfig
from detection.data import DataError, DataPipelineConfig, numpy_batches
from detection.data.loader import PyDatasetLoader
from detection.data.pipeline import tf_pipeline
from detection.datasets import open_dataset, plain_data_errors
from tests.detection.data.bad_images import ACCEPTED, PICTURE, SIZE, UNUSABLE, encoded

PIPELINES = {"tf.data": tf_pipeline, "PyDataset": PyDatasetLoader}
BOX = [0.25, 0.25, 0.5, 0.5]


def write_set(folder, entries):
    """A COCO data set of `(name, size)`; each image has one box."""
    images = [
        {"id": i, "file_name": name, "height": size[0], "width": size[1]}
        for i, (name, size) in enumerate(entries)
    ]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": BOX} for i, _ in enumerate(entries)]
    content = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "a"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))


def opened(folder, **options):
    split = {"images": str(folder), "annotations": str(folder / "annotations.json")}
    config = DataConfig(format="coco", train=split, val=split, **options)
    return open_dataset(config, "train")


def one_by_one(make, dataset, **options):
    config = DataPipelineConfig(batch_size=1, **options)
    with plain_data_errors():
        return list(numpy_batches(make(dataset, config, training=False)))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accepted")
    names = [f"{i:02}.jpg" for i in range(len(ACCEPTED))]
    for name, case in zip(names, ACCEPTED):
        (folder / name).write_bytes(case.content)
    write_set(folder, [(name, case.size) for name, case in zip(names, ACCEPTED)])
    return opened(folder, verify="decode")


@pytest.fixture(scope="module")
def batches(good):
    """Images of both pipelines by position; those of the picture's size are not resized."""
    found = {}
    for name, make in PIPELINES.items():
        # Sides of a turned picture change places, and so do its lengths.
        for x, y in one_by_one(make, good, min_sides=(SIZE[0],), max_side=SIZE[1], cache=False):
            found[name, int(y["index"][0])] = x, y
    return found


@pytest.mark.parametrize("number", range(len(ACCEPTED)), ids=[case.what for case in ACCEPTED])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_accepted(good, batches, pipeline, number):
    case = ACCEPTED[number]
    np.testing.assert_array_equal(good.read(number)["image"], case.pixels)
    x, y = batches[pipeline, number]
    height, width = x["image_sizes"][0]
    assert height >= 1 and width >= 1 and max(height, width) <= SIZE[1]
    image = x["images"][0, :height, :width]
    if (height, width) == case.size:
        np.testing.assert_array_equal(image, case.pixels)
    else:
        assert case.pixels.min() <= image.min() and image.max() <= case.pixels.max()
    assert not x["images"][0, height:].any() and not x["images"][0, :, width:].any()
    # The box lies where the annotation says, in the upright picture.
    scale = np.tile([width / case.size[1], height / case.size[0]], 2)
    np.testing.assert_allclose(y["boxes"][0, 0], np.array([0.25, 0.25, 0.75, 0.75]) * scale)


def test_nothing_is_wrong_with_the_accepted(good):
    assert len(good) == len(ACCEPTED) and len(good.problems) == 0


@pytest.fixture
def bad_set(tmp_path, request):
    case = request.param
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(encoded(PICTURE, "PNG"))
    case.place(tmp_path / "0.jpg")
    write_set(tmp_path, [(name, SIZE) for name in ("0.jpg", "1.png", "2.png")])
    return case, tmp_path


unusable = pytest.mark.parametrize(
    "bad_set", UNUSABLE, ids=[case.what for case in UNUSABLE], indirect=True
)


@unusable
@pytest.mark.parametrize("verify", ["decode", "headers"])
def test_unusable(bad_set, verify, monkeypatch):
    case, folder = bad_set
    if verify == "headers" and not case.in_header:
        assert len(opened(folder)) == 3
        return
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", None)  # It would be called.
    with pytest.raises(DataError, match=case.reason) as caught:
        opened(folder, verify=verify)
    message = str(caught.value)
    assert f"{folder}/0.jpg" in message and "1 found, 0 allowed" in message
    # Sound images are named as what the folder holds only.
    assert "max_bad_images" in message and "1.png" not in message.partition("\n  In ")[0]
    dataset = opened(folder, verify=verify, max_bad_images=1)
    assert [record.image_id for record in dataset.records] == [1, 2]
    assert dataset.problems.counts() == {case.kind: 1}
    assert f"{folder}/0.jpg" in dataset.summary()


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(
    "bad_set",
    [case for case in UNUSABLE if case.kind == "undecodable_image"],
    ids=[case.what for case in UNUSABLE if case.kind == "undecodable_image"],
    indirect=True,
)
def test_an_unusable_image_in_training_is_named(bad_set, pipeline):
    _, folder = bad_set
    dataset = opened(folder, verify="off")
    with pytest.raises(DataError, match=rf"{folder}/0\.jpg"):
        one_by_one(PIPELINES[pipeline], dataset)
