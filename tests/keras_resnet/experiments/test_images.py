"""Where the images of an experiment come from."""

import numpy as np
import pytest

from keras_resnet.classification.config import load_classifier_config
from keras_resnet.experiments.images import describe_images, image_overrides, read_images
from tests.keras_resnet.experiments.helpers import write_images


def test_npz(tmp_path):
    path = write_images(tmp_path / "it's: here.npz", train=20, test=10, size=12)
    train, test, overrides = read_images(image_overrides(path))
    with np.load(path) as arrays:
        assert np.array_equal(train.images, arrays["x_train"])
        assert np.array_equal(test.labels, arrays["y_test"])
    config = load_classifier_config("cifar10_plain20", overrides)
    assert (config.data.format, config.data.root) == ("npz", path)
    assert config.data.pipeline.image_size == 12


def test_binary_cifar(tmp_path):
    rng = np.random.default_rng(0)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    for name in names:
        rows = rng.integers(0, 256, (2, 3073), dtype="uint8")
        rows[:, 0] = [3, 9]
        rows.tofile(tmp_path / name)
    (tmp_path / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n")
    train, test, _ = read_images(image_overrides(str(tmp_path)))
    assert (len(train), len(test)) == (10, 2)
    assert list(test.labels) == [3, 9]
    # Planes of red, green and blue, row by row.
    assert test.images[1, 5, 7, 2] == rows[1, 1 + 2 * 1024 + 5 * 32 + 7]


@pytest.mark.parametrize(
    "data, download, root", [("tfds", False, None), ("tfds:my data/tfds", True, "my data/tfds")]
)
def test_tfds(data, download, root):
    config = load_classifier_config("cifar10_resnet20", image_overrides(data, download))
    assert (config.data.format, config.data.name) == ("tfds", "cifar10")
    assert (config.data.root, config.data.download) == (root, download)


def test_description_follows_the_images_not_the_place(tmp_path):
    paths = [write_images(tmp_path / name, 8, 4) for name in ("a.npz", "b.npz")]
    paths.append(write_images(tmp_path / "c.npz", 8, 4, seed=1))
    first, second, other = (describe_images(*read_images(image_overrides(p))[:2]) for p in paths)
    assert first == second
    assert (first["train"], first["test"]) == (8, 4)
    assert other["sha256"] != first["sha256"]


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing at 'cifar\.tar\.gz'"):
        image_overrides("cifar.tar.gz")
    with pytest.raises(ValueError, match=r"`download` is for `data` tfds.*x\.npz"):
        image_overrides("x.npz", download=True)
    np.savez(tmp_path / "x.npz", images=np.zeros(3))
    with pytest.raises(ValueError, match=r"x\.npz has no array x_train and y_train"):
        read_images(image_overrides(str(tmp_path / "x.npz")))
    np.savez(
        tmp_path / "y.npz",
        **{f"x_{split}": np.zeros((10, 8, 9, 3), "uint8") for split in ("train", "test")},
        **{f"y_{split}": np.arange(10) for split in ("train", "test")},
    )
    with pytest.raises(ValueError, match=r"squares of one size.*\(8, 9, 3\)"):
        read_images(image_overrides(str(tmp_path / "y.npz")))
