"""All eight EXIF orientations come out alike in training, `detect` and the exported model."""

import json

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

from detection.data import DataPipelineConfig, load_coco, numpy_batches
from detection.data.loader import PyDatasetLoader
from detection.predict import detect
from tests.detection.small_model import small_model

SIZE = (48, 80)  # Height and width of the upright picture.
BOX = [10, 4, 30, 20]


@pytest.fixture(scope="module")
def upright():
    coarse = np.random.default_rng(3).integers(0, 256, (6, 10, 3), dtype="uint8")
    picture = Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC)
    return np.asarray(picture)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, upright):
    """A data set of the picture, stored in each orientation and annotated as it is shown."""
    folder = tmp_path_factory.mktemp("orientations")
    # What Pillow does to show each orientation, undone.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    images, boxes = [], []
    for orientation in range(1, 9):
        stored = Image.fromarray(upright)
        if orientation > 1:
            stored = stored.transpose(Image.Transpose(undo[orientation]))
        exif = Image.Exif()
        exif[0x0112] = orientation
        name = f"{orientation}.png"
        stored.save(folder / name, exif=exif)
        assert Image.open(folder / name).size == (SIZE if orientation > 4 else SIZE[::-1])
        shown = ImageOps.exif_transpose(Image.open(folder / name))
        np.testing.assert_array_equal(np.asarray(shown), upright)
        image = {"id": orientation, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
        images.append(image)
        box = {"id": orientation, "image_id": orientation, "category_id": 1, "bbox": BOX}
        boxes.append(box)
    content = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "a"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("pipeline", ["tf.data", "PyDataset"])
def test_training(folder, upright, pipeline):
    if pipeline == "tf.data":
        pytest.importorskip("tensorflow")
        from detection.data.pipeline import tf_pipeline as make
    else:
        make = PyDatasetLoader
    dataset = load_coco(folder, folder / "annotations.json")
    config = DataPipelineConfig(
        batch_size=8, min_sides=(SIZE[0],), max_side=SIZE[1], horizontal_flip=0.0, shuffle=False
    )
    ((x, y),) = numpy_batches(make(dataset, config, training=True, endless=False))
    assert sorted(y["index"].tolist()) == list(range(8))
    for row in range(8):
        np.testing.assert_array_equal(x["images"][row, : SIZE[0], : SIZE[1]], upright)
        assert tuple(x["image_sizes"][row]) == SIZE
        np.testing.assert_array_equal(y["boxes"][row, 0], [10, 4, 40, 24])


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return small_model()


@pytest.fixture(scope="module")
def expected(model, upright):
    found = detect(model, upright)
    assert len(found.scores) > 0
    return found


def test_detect(folder, model, expected):
    for found in detect(model, [folder / f"{i}.png" for i in range(1, 9)]):
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)
def test_serving(folder, model, expected):
    """The function that `export_saved_model` writes, in a graph."""
    import tensorflow as tf

    from detection.serving import serve_bytes

    serve = tf.function(
        lambda image_bytes: serve_bytes(model, image_bytes),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    files = [(folder / f"{i}.png").read_bytes() for i in range(1, 9)]
    outputs = {name: value.numpy() for name, value in serve(tf.constant(files)).items()}
    assert outputs["valid"].all()
    for row in range(8):
        count = outputs["num_detections"][row]
        assert count == len(expected.scores)
        np.testing.assert_allclose(outputs["boxes"][row, :count], expected.boxes, atol=1e-2)
        np.testing.assert_allclose(outputs["scores"][row, :count], expected.scores, atol=1e-4)
