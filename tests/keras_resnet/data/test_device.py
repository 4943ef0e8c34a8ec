"""Images that stay on the device, against padding, cropping and mirroring in NumPy."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_resnet.data.dataset import ImageDataset
from keras_resnet.data.device import DeviceBatches, DeviceImages

SHAPE = (7, 6, 5, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, SHAPE, "uint8")


def naive(images, inputs, padding, fill):
    found = []
    for index, (top, left), flip in zip(inputs["index"], inputs["offset"], inputs["flip"]):
        height, width, channels = images[index].shape
        padded = np.empty((height + 2 * padding, width + 2 * padding, channels), "uint8")
        padded[:] = fill
        padded[padding : padding + height, padding : padding + width] = images[index]
        crop = padded[top : top + height, left : left + width]
        found.append(crop[:, ::-1] if flip else crop)
    return np.stack(found)


def every_place(padding):
    """All offsets, plain and mirrored, of some image each."""
    places = [
        (n % 7, y, x, flip)
        for n, (y, x, flip) in enumerate(np.ndindex(2 * padding + 1, 2 * padding + 1, 2))
    ]
    index, y, x, flip = np.array(places, "int32").T
    return {"index": index, "offset": np.stack([y, x], axis=1), "flip": flip}


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("fill", [0, 255, (3, 200, 77)])
def test_crops(padding, fill):
    inputs = every_place(padding)
    found = DeviceImages(IMAGES, padding, fill)(inputs)
    assert keras.backend.standardize_dtype(found.dtype) == "uint8"
    np.testing.assert_array_equal(np.array(found), naive(IMAGES, inputs, padding, fill))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_inside_a_compiled_model(jit_compile):
    inputs = every_place(2)
    keys = {"index": (), "offset": (2,), "flip": ()}
    symbolic = {k: keras.Input(shape, dtype="int32", name=k) for k, shape in keys.items()}
    layer = DeviceImages(IMAGES, 2, 9)
    outputs = keras.ops.cast(layer(symbolic), "float32")
    model = keras.Model(symbolic, outputs)
    model.compile(jit_compile=jit_compile)
    assert model.output_shape == (None, 6, 5, 3)
    found = model.predict_on_batch(inputs)
    np.testing.assert_array_equal(found, naive(IMAGES, inputs, 2, 9))


def test_the_images_are_in_no_checkpoint(tmp_path):
    def build(images):
        keys = {"index": (), "offset": (2,), "flip": ()}
        symbolic = {k: keras.Input(shape, dtype="int32", name=k) for k, shape in keys.items()}
        x = keras.layers.Rescaling(1.0)(DeviceImages(images, 1)(symbolic))
        return keras.Model(symbolic, keras.layers.Dense(2)(keras.layers.Flatten()(x)))

    many = np.zeros((20_000, 6, 5, 3), "uint8")
    model = build(many)
    assert len(model.trainable_variables) == 2
    model.save_weights(tmp_path / "a.weights.h5")
    model.save(tmp_path / "a.keras")
    for path in tmp_path.iterdir():
        assert path.stat().st_size < many.nbytes / 10
    again = build(IMAGES)
    again.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(again.get_weights()[-2], model.get_weights()[-2])
    np.testing.assert_array_equal(np.array(again.layers[3].pixels).reshape(SHAPE), IMAGES)


def test_from_config_waits_for_images():
    layer = DeviceImages.from_config(DeviceImages(IMAGES, 3, (1, 2, 3), name="a").get_config())
    assert (layer.image_shape, layer.padding, layer.fill, layer.name) == (SHAPE, 3, (1, 2, 3), "a")
    layer.pixels.assign(IMAGES.reshape(-1, 3))
    inputs = every_place(3)
    np.testing.assert_array_equal(np.array(layer(inputs)), naive(IMAGES, inputs, 3, (1, 2, 3)))


def test_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = DeviceImages(IMAGES)
        inputs = every_place(0)
        # Positions above 2048 have no exact 16-bit float.
        many = DeviceImages(np.arange(5000, dtype="uint16").astype("uint8").reshape(-1, 1, 1, 1))
        index = np.array([2049, 4999], "int32")
        zero = np.zeros(2, "int32")
        found = many({"index": index, "offset": np.zeros((2, 2), "int32"), "flip": zero})
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(np.array(layer(inputs)), naive(IMAGES, inputs, 0, 0))
    assert np.array(found).ravel().tolist() == [2049 % 256, 4999 % 256]


@pytest.mark.parametrize("images", [IMAGES / 255, IMAGES[0], IMAGES.astype("int32")])
def test_refused_images(images):
    with pytest.raises(ValueError, match="Received: shape"):
        DeviceImages(images)
    with pytest.raises(ValueError, match="padding=-1"):
        DeviceImages(IMAGES, padding=-1)


def dataset(count=23):
    images = np.zeros((count, 4, 4, 3), "uint8")
    return ImageDataset("d", [str(i) for i in range(count)], np.arange(count), images=images)


def batches(**options):
    defaults = {"training": True, "padding": 4, "flip": 0.5, "seed": 5}
    return DeviceBatches(options.pop("data", dataset()), 5, **{**defaults, **options})


def epoch(found, number):
    return [found[number * found.steps_per_epoch + k] for k in range(found.steps_per_epoch)]


def test_training_epochs():
    found = batches()
    assert (found.steps_per_epoch, found.num_batches) == (4, None)
    seen = []
    for number in range(3):
        labels = np.concatenate([y for _, y in epoch(found, number)])
        index = np.concatenate([x["index"] for x, _ in epoch(found, number)])
        np.testing.assert_array_equal(labels, index)  # label i belongs to image i
        assert len(set(labels.tolist())) == 20  # no image twice; the last three left out
        seen.append(labels.tolist())
        for k in range(4):
            np.testing.assert_array_equal(found.rows(number, k), labels[5 * k : 5 * k + 5])
    assert seen[0] != seen[1] != seen[2]


@pytest.mark.parametrize("start", [(0, 0), (0, 3), (1, 0), (2, 1)])
def test_a_start_within_changes_nothing(start):
    whole = batches()
    late = batches(start_epoch=start[0], start_batch=start[1])
    first = start[0] * 4 + start[1]
    for k in range(6):
        (x, y), (x_late, y_late) = whole[first + k], late[k]
        np.testing.assert_array_equal(y, y_late)
        for key in x:
            np.testing.assert_array_equal(x[key], x_late[key])
    # Nor does the order of asking.
    again = batches()
    backwards = [again[k] for k in reversed(range(9))][::-1]
    for k, (x, y) in enumerate(backwards):
        np.testing.assert_array_equal(y, whole[k][1])
        np.testing.assert_array_equal(x["offset"], whole[k][0]["offset"])


def test_augmentation_is_uniform():
    data = dataset(3000)
    found = DeviceBatches(data, 3000, training=True, padding=4, flip=0.25, seed=1)
    x = [found[k][0] for k in range(10)]
    offset = np.concatenate([b["offset"] for b in x])
    counts = np.zeros((9, 9))
    np.add.at(counts, (offset[:, 0], offset[:, 1]), 1)
    # 81 places of 30000 draws: about chi-squared with 80 degrees of freedom; 1e-6 lies at 161.
    expected = 30000 / 81
    assert ((counts - expected) ** 2 / expected).sum() < 161
    share = np.concatenate([b["flip"] for b in x]).mean()
    assert abs(share - 0.25) < 5 * (0.25 * 0.75 / 30000) ** 0.5
    # What happens to an image changes from epoch to epoch.
    of_image_0 = {tuple(b["offset"][b["index"] == 0][0]) for b in x}
    assert len(of_image_0) > 3


def test_seeds_differ():
    one, two = batches(seed=1)[0], batches(seed=2)[0]
    assert one[1].tolist() != two[1].tolist()
    assert one[0]["offset"].tolist() != two[0]["offset"].tolist()


def test_evaluation():
    found = batches(training=False)
    assert (found.num_batches, len(found)) == (5, 5)
    labels = np.concatenate([found[k][1] for k in range(5)])
    assert labels.tolist() == [*range(23), -1, -1]
    for k in range(5):
        x, _ = found[k]
        assert (x["offset"] == 4).all() and not x["flip"].any()  # the middle, as it is
        assert x["index"].min() >= 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"data": dataset(4)}, "4 images, fewer than one batch"),
        ({"start_batch": 4}, "start_batch=4"),
        ({"start_epoch": -1}, "start_epoch=-1"),
    ],
)
def test_refused_batches(options, message):
    with pytest.raises(ValueError, match=message):
        batches(**options)


ON_JAX = """
import sys
sys.modules["tensorflow"] = None
import keras, numpy as np
from keras_resnet.data.device import DeviceBatches, DeviceImages
from keras_resnet.data.dataset import ImageDataset
assert keras.backend.backend() == "jax"
with np.load(sys.argv[1] + "/in.npz") as arrays:
    images, inputs = arrays["images"], {k: arrays[k] for k in ("index", "offset", "flip")}
layer = DeviceImages(images, 2, (3, 200, 77))
symbolic = {k: keras.Input(v.shape[1:], dtype="int32", name=k) for k, v in inputs.items()}
model = keras.Model(symbolic, keras.ops.cast(layer(symbolic), "int32"))
model.compile(jit_compile=True)
np.save(sys.argv[1] + "/crops.npy", model.predict_on_batch(inputs))
data = ImageDataset("d", "abcdefg", np.arange(7), images=images)
x, y = DeviceBatches(data, 3, training=True, padding=2, flip=0.5, seed=8)[3]
np.savez(sys.argv[1] + "/batch.npz", labels=y, **x)
"""


def test_jax_without_tensorflow(tmp_path):
    inputs = every_place(2)
    np.savez(tmp_path / "in.npz", images=IMAGES, **inputs)
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = naive(IMAGES, inputs, 2, (3, 200, 77))
    np.testing.assert_array_equal(np.load(tmp_path / "crops.npy"), expected)
    data = ImageDataset("d", "abcdefg", np.arange(7), images=IMAGES)
    x, y = DeviceBatches(data, 3, training=True, padding=2, flip=0.5, seed=8)[3]
    with np.load(tmp_path / "batch.npz") as found:
        for key, value in {**x, "labels": y}.items():
            np.testing.assert_array_equal(found[key], value)
