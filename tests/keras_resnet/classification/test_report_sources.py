"""The page of a classifier on images from every source, opened as the scripts open them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from keras_resnet.classification.data_source import open_data
from keras_resnet.classification.multi_crop import evaluated_positions
from keras_resnet.classification.predictions import Predictions
from keras_resnet.classification.report import write_report
from tests.keras_resnet.data.helpers import write_folder
from tests.keras_resnet.data.test_cifar import binary_files, place


def from_folder(root):
    write_folder(root / "val", {"ant": 2, "bee": 3}, size=(120, 160))
    return open_data(root)


def from_npz(root):
    images = np.random.default_rng(0).integers(0, 256, (5, 20, 20, 3), "uint8")
    np.savez(root / "a.npz", x_test=images, y_test=np.arange(5) % 2)
    return open_data(root / "a.npz")


def from_cifar(root):
    return open_data(f"cifar10:{place(root, binary_files(), 'archive')}")


def from_tfds(root):
    pytest.importorskip("tensorflow_datasets")
    from tests.keras_resnet.data.test_tfds import NAMES, encode, features_of, write

    sizes = [(130, 140), (150, 124), (133, 133)]
    examples = [
        {"image": encode(i, size, "JPEG"), "label": NAMES[i], "id": f"n{i}"}
        for i, size in enumerate(sizes)
    ]
    features = features_of(encoding_format="jpeg")
    write(root, "imagenette/320px-v2", "1.0.0", features, examples)
    return open_data("tfds:imagenette/320px-v2", "train", str(root))


@pytest.mark.parametrize("source", [from_folder, from_npz, from_cifar, from_tfds])
def test_pictures_of_every_source(source, tmp_path):
    dataset = source(tmp_path)
    # Of the images that a limit leaves, the first is taken for something else.
    positions = evaluated_positions(len(dataset), 3)
    labels = dataset.labels[positions]
    predicted = labels.copy()
    predicted[0] = (predicted[0] + 1) % len(dataset.class_names)
    rows = [(labels, predicted, np.full(3, 0.75, "float32"))]
    found = Predictions.of_batches(rows, positions)
    metrics = {"loss": 1.0, "accuracy": 2 / 3, "top5": 1.0}
    page = write_report(tmp_path, dataset, found, metrics).read_text()
    sources = re.findall(r'src="data:image/\w+;base64,([^"]*)"', page)
    assert len(sources) == 3
    for text, position in zip(sources, positions):
        picture = Image.open(io.BytesIO(base64.b64decode(text)))
        pixels, original = np.asarray(picture, "int16"), dataset.read(int(position))
        assert pixels.shape == original.shape
        # What is small is shown exactly.
        largest = 0 if max(original.shape) < 100 else 8
        assert np.abs(pixels - original).mean() <= largest
    name = dataset.class_names
    assert f"{name[predicted[0]]} (0.75)" in page and f"true: {name[labels[0]]}" in page
