"""The loader where TensorFlow does not exist, and under Keras' `fit`; the picture of a batch."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resnet.data.batches import make_batches, numpy_batches
from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.folder import load_folder
from keras_resnet.data.loader import PyDatasetLoader
from keras_resnet.data.preview import preview
from tests.keras_resnet.data.helpers import random_images, write_folder

_WITHOUT_TENSORFLOW = """
import sys
for name in ("tensorflow", "tensorflow_datasets", "keras_cv"):
    sys.modules[name] = None
import keras
import numpy as np
from keras_resnet.data.batches import make_batches, numpy_batches
from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.folder import load_folder

assert keras.backend.backend() == "jax"
dataset = load_folder(sys.argv[1])
config = ClassificationPipelineConfig(
    batch_size=4, image_size=16, trivial_augment=True, mixup=0.2, cutmix=1.0, random_erasing=0.5)
layers = keras.layers
model = keras.Sequential(
    [layers.GlobalAveragePooling2D(), layers.BatchNormalization(), layers.Dense(2)])
model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
batches = make_batches(dataset, config, training=True)
history = model.fit(batches, steps_per_epoch=2, epochs=2, verbose=0, shuffle=False)
assert np.isfinite(history.history["loss"]).all()
print("sums", *(float(x.sum()) for (x, y), _ in zip(numpy_batches(batches), range(5))))
"""


def test_fits_on_jax_without_tensorflow(tmp_path):
    write_folder(tmp_path, {"a": 4, "b": 5})
    command = [sys.executable, "-c", _WITHOUT_TENSORFLOW, str(tmp_path)]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    sums = [float(word) for word in done.stdout.split("sums")[1].split()]
    # The same batches as here.
    config = ClassificationPipelineConfig(
        batch_size=4, image_size=16, trivial_augment=True, mixup=0.2, cutmix=1.0, random_erasing=0.5
    )
    batches = make_batches(load_folder(tmp_path), config, training=True)
    here = [float(x.sum()) for (x, _), _ in zip(numpy_batches(batches), range(5))]
    np.testing.assert_allclose(sums, here, rtol=1e-6)


def test_fit_sees_the_stream_in_order_over_several_epochs():
    """`fit` takes a batch to build the model and starts anew; none may be lost."""
    dataset = random_images(20)
    config = ClassificationPipelineConfig(batch_size=4, image_size=32, crop="pad_crop")
    seen = []

    class Model(keras.Model):
        def call(self, x):
            return keras.ops.cast(x[:, 0, 0], "float32")

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            seen.append(keras.ops.convert_to_numpy(x).copy())
            return keras.ops.sum(y_pred) * 0.0

    reference = PyDatasetLoader(dataset, config, training=True)
    for make in {make_batches, PyDatasetLoader}:
        model = Model()
        model.compile("sgd", run_eagerly=True)
        batches = make(dataset, config, training=True, start_epoch=1, start_batch=3)
        model.fit(batches, steps_per_epoch=4, epochs=3, verbose=0, shuffle=False)
        for step, x in enumerate(seen[-12:]):
            np.testing.assert_array_equal(x, reference[8 + step][0])


def test_one_epoch_at_a_time_follows_the_endless_stream():
    """What Keras does with a loader that ends: `on_epoch_end` moves it to the next epoch."""
    dataset = random_images(12)
    config = ClassificationPipelineConfig(batch_size=4, image_size=32, crop="pad_crop", workers=2)
    endless = PyDatasetLoader(dataset, config, training=True)
    single = PyDatasetLoader(dataset, config, training=True, endless=False)
    assert endless.num_batches is None and single.num_batches == len(single) == 3
    for epoch in range(3):
        for batch in range(3):
            np.testing.assert_array_equal(endless[3 * epoch + batch][0], single[batch][0])
        single.on_epoch_end()
    with pytest.raises(IndexError, match="Received: index=3"):
        single[3]
    # Any order of reading gives the same.
    again = PyDatasetLoader(dataset, config, training=True)
    for position in (7, 2, 3, 2, 0):
        np.testing.assert_array_equal(again[position][0], endless[position][0])


def test_decoded_images_are_kept_as_long_as_there_is_room(tmp_path, monkeypatch):
    write_folder(tmp_path, {"a": 6})
    options = {"batch_size": 3, "image_size": 24, "crop": "random_resized"}
    for cache, room, reads in (("auto", 2 * 30 * 40 * 3, 10), (True, 0, 6), (False, 10**9, 12)):
        monkeypatch.setattr("keras_resnet.data.rows._CACHE_LIMIT", room)
        dataset, found = load_folder(tmp_path), []
        read = dataset.read

        def counted(index, read=read, found=found):
            found.append(index)
            return read(index)

        dataset.read = counted
        config = ClassificationPipelineConfig(cache=cache, workers=1, **options)
        loader = PyDatasetLoader(dataset, config, training=False, endless=False)
        for _ in range(2):
            for batch in range(2):
                loader[batch]
        assert len(found) == reads, cache


def test_preview_shows_pixels_and_labels(tmp_path):
    dataset = random_images(8, classes=2)
    config = ClassificationPipelineConfig(batch_size=8, image_size=32, crop="none", shuffle=False)
    config = config.model_copy(update={"horizontal_flip": 0.0})
    path = tmp_path / "train_batch0.png"
    batches = make_batches(dataset, config, training=True)
    preview(batches, path, class_names=["cat", "dog"], images=6, columns=3)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    # Cells of 96 pixels with a gap of 4 and a line of 14 for the label.
    assert pixels.shape == (2 * 114 + 4, 3 * 100 + 4, 3)
    for number in range(6):
        top, left = 4 + number // 3 * 114, 4 + number % 3 * 100
        cell = pixels[top : top + 96, left : left + 96]
        np.testing.assert_array_equal(cell[1::3, 1::3], dataset.images[number])
        line = pixels[top + 96 : top + 110, left : left + 96]
        assert line.min() < 100 and line.max() == 255
    # Different names are different writing.
    lines = [pixels[100:114, 4 + i * 100 : 100 + i * 100] for i in range(3)]
    same = [np.array_equal(lines[0], lines[i]) for i in (1, 2)]
    assert same == [bool(dataset.labels[0] == dataset.labels[i]) for i in (1, 2)]


def test_preview_of_mixed_and_empty_batches(tmp_path):
    dataset = random_images(8, classes=2)
    options = {"batch_size": 8, "image_size": 32, "crop": "none"}
    mixed = make_batches(dataset, ClassificationPipelineConfig(mixup=1.0, **options), True)
    assert preview(mixed, tmp_path / "1.jpg").size == (404, 232)
    black = [(np.zeros((2, 32, 32, 3), "uint8"), np.array([-1, -1]))]
    black = type("Batches", (list,), {"num_batches": 1})(black)
    with pytest.raises(ValueError, match="no images to draw"):
        preview(black, tmp_path / "2.jpg")
