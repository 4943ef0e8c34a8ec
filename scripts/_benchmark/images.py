"""Reading photographs: our input pipeline, and tf.data with TensorFlow's operations alone."""

import tempfile
from pathlib import Path

import numpy as np

from _benchmark.harness import elsewhere

HEIGHT, WIDTH = 480, 640
MIN_SIDE, MAX_SIDE = 800, 1333


def pipeline(batch=4, photos=64, quick=False):
    """Our training pipeline: decode, resize, flip, pad and batch, with the boxes."""
    import tensorflow as tf

    from detection.data.config import DataPipelineConfig
    from detection.data.dataset import Category, DetectionDataset, Record
    from detection.data.pipeline import tf_pipeline

    folder, paths = _photos(4 if quick else photos)
    boxes = np.array([[40.0, 40, 200, 300], [300, 100, 420, 260], [500, 20, 630, 470]])
    records = [Record(path, i, HEIGHT, WIDTH, boxes, [0, 1, 0]) for i, path in enumerate(paths)]
    dataset = DetectionDataset("photos", [Category(1, "a"), Category(2, "b")], records)
    config = DataPipelineConfig(
        batch_size=batch, min_sides=(MIN_SIDE,), max_side=MAX_SIDE, cache=False
    )
    batches = iter(tf_pipeline(dataset, config, training=True))

    def step(keep=folder):
        x, _ = next(batches)
        assert x["images"].dtype == tf.uint8

    return step, {"images": batch}


def bare(batch=4, photos=64, quick=False):
    """Decoding and resizing to the same size, nothing else, as many images at once as help."""
    import keras  # noqa: F401  as the other side, so that memory can be compared
    import tensorflow as tf

    from detection.data.transforms import resized_size

    folder, paths = _photos(4 if quick else photos)
    size = resized_size(HEIGHT, WIDTH, MIN_SIDE, MAX_SIDE)

    def read(path):
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, size)

    images = tf.data.Dataset.from_tensor_slices(paths).repeat()
    images = iter(images.map(read, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE))

    def step(keep=folder):
        for _ in range(batch):
            next(images)

    return step, {"images": batch}


def _photos(count):
    folder = tempfile.TemporaryDirectory()
    elsewhere("images:write", folder=folder.name, count=count)
    return folder, [str(path) for path in sorted(Path(folder.name).glob("*.jpg"))]


def write(folder, count):
    """Writes JPEGs with the detail of photographs: noise at all scales, coarse the strongest."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(count):
        photo = np.full((HEIGHT, WIDTH, 3), 128.0)
        for cell in (160, 80, 40, 20, 10, 5, 2):
            noise = rng.normal(0, 1, (HEIGHT // cell, WIDTH // cell, 3))
            channels = [
                Image.fromarray(noise[..., i].astype("float32")).resize(
                    (WIDTH, HEIGHT), Image.Resampling.BILINEAR
                )
                for i in range(3)
            ]
            # Colours vary less than brightness, as in photographs.
            layer = np.stack([np.asarray(channel) for channel in channels], axis=-1)
            layer = 0.8 * layer[..., :1] + 0.3 * layer
            photo += 6 * cell**0.4 * layer
        pixels = np.clip(photo, 0, 255).astype("uint8")
        Image.fromarray(pixels).save(Path(folder) / f"{number:04d}.jpg", quality=90)
