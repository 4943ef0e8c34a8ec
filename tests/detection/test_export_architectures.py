"""Detectors in memory, reloaded and exported find the same, whatever the architecture."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

import detection
from detection.export import export_saved_model
from keras_resnet import BatchNormalization
from tests.detection.test_architectures import ARCHITECTURES, build

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)


def picture(height, width, seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), "uint8")
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def with_statistics(model):
    """Norms as after training, so that folding them has something to fold."""
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, BatchNormalization):
            count = layer.gamma.shape[0]
            layer.gamma.assign(rng.uniform(0.5, 1.5, count))
            layer.beta.assign(rng.normal(0, 0.3, count))
            layer.moving_mean.assign(rng.normal(0, 0.3, count))
            layer.moving_variance.assign(rng.uniform(0.5, 2, count))
    return model


def assert_close(found, expected):
    assert len(found["scores"]) == len(expected.scores) > 2
    np.testing.assert_array_equal(found["classes"], expected.classes)
    np.testing.assert_allclose(found["scores"], expected.scores, atol=1e-4)
    np.testing.assert_allclose(found["boxes"], expected.boxes, atol=1e-3)


# The cascade stands on the map of dc5.
USUAL = ("fpn_convolutions", "c4", "dc5_cascade")
OTHERS = [name for name in ARCHITECTURES if name not in USUAL]


@pytest.mark.parametrize(
    "name", [*USUAL, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_same_detections_everywhere(name, tmp_path):
    import tensorflow as tf

    model = with_statistics(build(name))
    images = [picture(64, 64, seed=1), picture(96, 70, seed=2)]  # the second is made smaller
    expected = model.detect(images)

    loaded = detection.load(detection.save_model(model, tmp_path / "saved"))
    for found, other in zip(loaded.detect(images), expected):
        assert_close({k: getattr(found, k) for k in ("boxes", "scores", "classes")}, other)

    folder = export_saved_model(model, tmp_path / "served", samples=images)
    assert b"FusedBatchNorm" not in (folder / "saved_model.pb").read_bytes()
    served = tf.saved_model.load(str(folder))
    files = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        files.append(stream.getvalue())
    outputs = served.signatures["serving_default"](image_bytes=tf.constant(files))
    for row, other in enumerate(expected):
        count = int(outputs["num_detections"][row])
        parts = ("boxes", "scores", "classes")
        assert_close({k: outputs[k][row, :count].numpy() for k in parts}, other)
