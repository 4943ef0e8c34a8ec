"""Small data sets for the tests of the input pipelines."""

import os

import numpy as np
from PIL import Image

from keras_resnet.data.dataset import ImageDataset


def random_images(count, size=32, classes=10, seed=0):
    """Noise in memory."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, size, size, 3), "uint8")
    names = [str(i) for i in range(classes)]
    return ImageDataset("noise", names, rng.integers(0, classes, count), images=images)


def smooth_image(size, seed=0):
    """Neighbouring pixels are similar, as in photographs: uint8 `(H, W, 3)`."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), "uint8")
    picture = Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(picture)


def photographs(count, classes=3):
    """Images of different sizes, not in memory."""
    sizes = [(40 + 7 * (i % 5), 70 - 9 * (i % 4)) for i in range(count)]
    names = [str(i) for i in range(classes)]
    labels = np.arange(count) % classes
    return ImageDataset(
        "photographs", names, labels, read=lambda i: smooth_image(sizes[i], seed=int(i))
    )


def write_folder(root, counts, size=(30, 40)):
    """Writes `root/<class>/<number>.png`; `counts` maps names of classes to numbers of images."""
    for number, (name, count) in enumerate(counts.items()):
        os.makedirs(root / name, exist_ok=True)
        for i in range(count):
            pixels = smooth_image(size, seed=100 * number + i)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root
