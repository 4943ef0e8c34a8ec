"""Both input pipelines: what they give, that they agree, and that any position can be resumed."""

import itertools

import keras
import numpy as np
import pytest

from keras_resnet.data.batches import make_batches, numpy_batches
from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.device import DeviceBatches, DeviceImages
from keras_resnet.data.errors import DataError
from keras_resnet.data.folder import load_folder
from keras_resnet.data.loader import PyDatasetLoader
from tests.keras_resnet.data.helpers import photographs, random_images, write_folder

PLAIN = {"crop": "pad_crop"}
EVERYTHING = {
    "crop": "random_resized",
    "trivial_augment": True,
    "brightness": 0.4,
    "contrast": 0.3,
    "saturation": 0.2,
    "hue": 0.1,
    "pca_lighting": 0.1,
    "random_erasing": 0.5,
    "mixup": 0.2,
    "cutmix": 1.0,
    "repeats": 2,
}


def config_of(**options):
    return ClassificationPipelineConfig(**{"batch_size": 4, "image_size": 32, "seed": 5, **options})


def take(batches, count):
    return list(itertools.islice(numpy_batches(batches), count))


def assert_same(first, second):
    assert len(first) == len(second)
    for (x, y), (other_x, other_y) in zip(first, second):
        assert x.dtype == other_x.dtype and y.dtype == other_y.dtype
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(y, other_y)


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("make_data", [random_images, photographs])
def test_both_pipelines_agree_and_resume_anywhere(options, make_data):
    dataset = make_data(18)
    if make_data is photographs and options is PLAIN:
        options = {"crop": "scale_jitter", "shorter_side": (32, 50)}
    config = config_of(**options)
    reference = take(PyDatasetLoader(dataset, config, training=True), 12)
    batches = make_batches(dataset, config, training=True)
    assert batches.steps_per_epoch == 4
    assert_same(take(batches, 12), reference)
    for number in (1, 4, 7):
        epoch, batch = divmod(number, 4)
        again = make_batches(dataset, config, True, start_epoch=epoch, start_batch=batch)
        assert_same(take(again, 12 - number), reference[number:])
    other = config_of(**options, workers=1)
    assert_same(take(PyDatasetLoader(dataset, other, training=True), 12), reference)
    # Another epoch and another seed are something else.
    assert not np.array_equal(reference[0][0], reference[4][0])
    other = take(PyDatasetLoader(dataset, config_of(**{**options, "seed": 6}), True), 1)
    assert not np.array_equal(reference[0][0], other[0][0])


def test_the_loader_on_the_device_sees_the_same_stream():
    dataset = random_images(50)
    config = config_of(crop="pad_crop", padding_value=(9, 8, 7))
    host = PyDatasetLoader(dataset, config, training=True)
    device = DeviceBatches(dataset, 4, training=True, padding=4, flip=0.5, seed=5)
    layer = DeviceImages(dataset.images, padding=4, fill=(9, 8, 7))
    for number in range(15):
        (x, y), (inputs, labels) = host[number], device[number]
        np.testing.assert_array_equal(y, labels)
        np.testing.assert_array_equal(x, keras.ops.convert_to_numpy(layer(inputs)))


def test_evaluation_sees_each_image_once_and_fills_the_last_batch():
    dataset = random_images(10)
    config = config_of(crop="pad_crop", mixup=0.2)
    batches = take(make_batches(dataset, config, training=False), 5)
    assert [x.shape for x, _ in batches] == [(4, 32, 32, 3)] * 3
    x, y = (np.concatenate(v) for v in zip(*batches))
    assert x.dtype == np.uint8 and y.dtype == np.int32
    np.testing.assert_array_equal(x[:10], dataset.images)
    np.testing.assert_array_equal(y, [*dataset.labels, -1, -1])
    assert not x[10:].any()


def test_the_loss_of_keras_leaves_filler_out():
    dataset = random_images(10)
    _, y = take(make_batches(dataset, config_of(crop="pad_crop"), training=False), 3)[2]
    logits = np.random.default_rng(0).normal(size=(4, 10)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    rows = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(4), y]
    np.testing.assert_allclose(float(loss(y, logits)), rows[:2].mean(), rtol=1e-5)


def test_training_leaves_out_or_fills_what_is_no_whole_batch():
    dataset = random_images(10)
    left_out = make_batches(dataset, config_of(crop="none"), training=True)
    assert left_out.steps_per_epoch == 2
    filled = make_batches(dataset, config_of(crop="none", drop_remainder=False), training=True)
    assert filled.steps_per_epoch == 3
    rows = np.concatenate([filled.rows(0, batch) for batch in range(3)])
    assert sorted(rows[:10]) == list(range(10))
    np.testing.assert_array_equal(rows[10:], rows[:2])
    _, y = take(filled, 3)[2]
    np.testing.assert_array_equal(y, dataset.labels[rows[8:]])


def test_positions_that_do_not_exist_are_refused():
    dataset = random_images(10)
    for make in (make_batches, PyDatasetLoader):
        with pytest.raises(ValueError, match=r"start_batch < 2.*Received: start_epoch=0, start_b"):
            make(dataset, config_of(crop="none"), True, start_batch=2)
        with pytest.raises(ValueError, match=r"fewer than one batch.*Received: batch_size=16"):
            make(dataset, config_of(crop="none", batch_size=16), True)


def test_images_that_do_not_fit_the_crop_are_named():
    loader = PyDatasetLoader(photographs(4), config_of(crop="none"), training=True)
    with pytest.raises(ValueError, match=r"photographs\[\d\] is \d+ x \d+ pixels"):
        loader[0]
    loader = PyDatasetLoader(photographs(4), config_of(crop="none", eval_crop=64), training=False)
    with pytest.raises(ValueError, match=r"photographs\[0\].*before the crop.*crop=64"):
        loader[0]


def test_shapes_are_known_beforehand():
    config = config_of(crop="random_resized", mixup=0.2, eval_crop=24)
    for training in (True, False):
        batches = make_batches(photographs(10), config, training)
        (x, y), *_ = take(batches, 1)
        assert x.shape == ((4, 32, 32, 3) if training else (4, 24, 24, 3))
        if hasattr(batches, "element_spec"):
            images, labels = batches.element_spec
            assert tuple(images.shape) == x.shape and tuple(labels.shape) == y.shape
            assert images.dtype.name == x.dtype and labels.dtype.name == y.dtype


def test_images_that_do_not_decode_are_named(tmp_path):
    write_folder(tmp_path, {"a": 3})
    dataset = load_folder(tmp_path)
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    for make in (make_batches, PyDatasetLoader):
        batches = make(dataset, config_of(batch_size=3), training=True)
        with pytest.raises(Exception, match=r"a/1\.png does not decode") as caught:
            take(batches, 1)
        assert isinstance(caught.value, DataError) == isinstance(batches, PyDatasetLoader)
