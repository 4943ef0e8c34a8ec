import keras
import numpy as np
import pytest

import keras_resnet

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype="uint8")


def test_torch_style_is_torchvisions_normalize():
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (IMAGES / 255.0 - mean) / std
    np.testing.assert_allclose(keras_resnet.preprocess_input(IMAGES), expected, atol=1e-5)
    first = keras_resnet.preprocess_input(IMAGES.transpose(0, 3, 1, 2), "channels_first")
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), expected, atol=1e-5)


def test_caffe_style_is_that_of_keras_applications():
    ours = keras_resnet.preprocess_input(IMAGES, style="caffe")
    expected = keras.applications.resnet50.preprocess_input(IMAGES.astype("float32"))
    np.testing.assert_allclose(ours, expected)


def test_tensors_work_and_arrays_stay_untouched():
    x = IMAGES.astype("float32")
    ours = keras_resnet.preprocess_input(keras.ops.convert_to_tensor(x))
    np.testing.assert_allclose(ours, keras_resnet.preprocess_input(x), atol=1e-5)
    np.testing.assert_array_equal(x, IMAGES)


def test_scaled_images_are_noticed():
    with pytest.warns(UserWarning, match="expects values 0..255"):
        keras_resnet.preprocess_input(IMAGES / 255.0)
    with pytest.raises(ValueError, match="Received: style='tf'"):
        keras_resnet.preprocess_input(IMAGES, style="tf")


def test_decode_predictions_names_the_best(monkeypatch):
    from keras.src.applications import imagenet_utils

    names = {str(i): [f"n{i:08d}", f"name{i}"] for i in range(1000)}
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", names)
    scores = np.zeros((1, 1000))
    scores[0, [3, 7]] = 0.75, 0.25
    decoded = keras_resnet.decode_predictions(scores, top=2)
    assert decoded == [[("n00000003", "name3", 0.75), ("n00000007", "name7", 0.25)]]
