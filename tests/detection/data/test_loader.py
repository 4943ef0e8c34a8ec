"""The loader where TensorFlow does not exist, and the choice of the pipeline by backend."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from detection.data import DataPipelineConfig, load_coco, load_dataset, make_batches
from detection.data.loader import PyDatasetLoader
from detection.data.pipeline import tf_pipeline
from tests.detection.data.helpers import some_boxes, write_coco

_WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import keras
import numpy as np
from detection.data import DataPipelineConfig, load_coco, make_batches, numpy_batches

assert keras.backend.backend() == "jax"
dataset = load_coco(sys.argv[1], sys.argv[2])
config = DataPipelineConfig(batch_size=2, min_sides=(32,), max_side=64, workers=2)
seen = []

class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        images = keras.ops.cast(x["images"], "float32") / 255
        return self.dense(keras.ops.mean(images, axis=(1, 2)))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        weight = keras.ops.cast(y["classes"] >= 0, "float32")
        return keras.ops.mean((y_pred - keras.ops.sum(weight, axis=1, keepdims=True)) ** 2)

model = Model()
model.compile("sgd")
batches = make_batches(dataset, config, training=True)
history = model.fit(batches, steps_per_epoch=batches.steps_per_epoch, epochs=3, verbose=0,
                    shuffle=False)
assert np.isfinite(history.history["loss"]).all() and len(history.history["loss"]) == 3
evaluated = [y["index"] for _, y in numpy_batches(make_batches(dataset, config, False))]
assert sorted(np.concatenate(evaluated).tolist()) == [-1, 0, 1, 2, 3, 4]
assert sys.modules["tensorflow"] is None
print("sums", *(int(x["images"].sum()) for (x, y), _ in zip(numpy_batches(batches), range(4))))
"""


@pytest.fixture
def files(tmp_path):
    return write_coco(tmp_path, [(40, 60)] * 3 + [(60, 40)] * 2,
                      lambda index: some_boxes(index, (40, 40), seed=index))  # fmt: skip


def test_fits_on_jax_without_tensorflow(files):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", _WITHOUT_TENSORFLOW, *map(str, files)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    sums = [int(word) for word in result.stdout.split("sums")[1].split()]
    # The same batches as tf.data gives here.
    config = DataPipelineConfig(batch_size=2, min_sides=(32,), max_side=64)
    batches = tf_pipeline(load_coco(*files), config, training=True)
    for total, (x, _) in zip(sums, batches.as_numpy_iterator()):
        np.testing.assert_allclose(total, int(x["images"].sum()), rtol=1e-4)


def test_backend_chooses_the_pipeline(files):
    dataset = load_dataset("coco", images_dir=files[0], annotations_file=files[1])
    config = DataPipelineConfig(batch_size=2, min_sides=(32,), max_side=64)
    batches = make_batches(dataset, config, training=False)
    is_loader = isinstance(batches, PyDatasetLoader)
    assert is_loader == (keras.backend.backend() != "tensorflow")
    assert batches.steps_per_epoch == 3 and batches.plan.max_boxes == 8
    with pytest.raises(ValueError, match=r"must be one of.*Received"):
        load_dataset("jolo")


def test_fit_sees_the_stream_in_order_over_several_epochs(files):
    """`fit` takes a batch to build the model and starts anew; none may be lost."""
    dataset = load_coco(*files)
    config = DataPipelineConfig(batch_size=2, min_sides=(32,), max_side=64, workers=2)
    seen = []
    # Keras on TensorFlow takes no loader with batches of several shapes.
    makes = (make_batches,) if keras.backend.backend() == "tensorflow" else (PyDatasetLoader,)

    class Model(keras.Model):
        def call(self, x):
            return keras.ops.cast(x["image_sizes"], "float32")

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            seen.append(keras.ops.convert_to_numpy(y["index"]).tolist())
            return keras.ops.sum(y_pred) * 0.0

    for make in makes:
        model = Model()
        model.compile("sgd", run_eagerly=True)
        batches = make(dataset, config, training=True, start_epoch=1, start_batch=2)
        model.fit(batches, steps_per_epoch=3, epochs=4, verbose=0, shuffle=False)
        reference = PyDatasetLoader(dataset, config, training=True)
        expected = [reference[5 + step][1]["index"].tolist() for step in range(12)]
        assert seen[-12:] == expected


def test_one_epoch_at_a_time_follows_the_endless_stream(files):
    """What Keras does with a loader that ends: `on_epoch_end` moves it to the next epoch."""
    dataset = load_coco(*files)
    config = DataPipelineConfig(batch_size=2, min_sides=(32,), max_side=64)
    endless = PyDatasetLoader(dataset, config, training=True)
    single = PyDatasetLoader(dataset, config, training=True, endless=False)
    assert endless.num_batches is None and single.num_batches == len(single) == 3
    for epoch in range(3):
        for batch in range(3):
            expected, found = endless[3 * epoch + batch], single[batch]
            np.testing.assert_array_equal(expected[0]["images"], found[0]["images"])
            np.testing.assert_array_equal(expected[1]["index"], found[1]["index"])
        single.on_epoch_end()
    with pytest.raises(IndexError, match="Received: index=3"):
        single[3]
