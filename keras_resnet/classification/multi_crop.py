"""Evaluation at one crop, ten crops, or several sizes of the whole image."""

import collections
import concurrent.futures
import functools
import itertools

import keras
import numpy as np

from keras_resnet.classification.evaluation import ClassificationFigures
from keras_resnet.data.evaluation import centre_crop, rescale, ten_crop
from keras_resnet.training.devices import choose_jit

PROTOCOLS = ("one-crop", "ten-crop", "multi-scale")
SCALES = (224, 256, 384, 480, 640)


def make_views(protocol, resize=256, crop=224, interpolation="bilinear", scales=SCALES):
    """The function from an image to the views of it that a protocol scores.

    Args:
        protocol: `"one-crop"`: the middle of the resized image. `"ten-crop"`: its corners and
            middle, and these mirrored. `"multi-scale"`: the whole image at several sizes, and
            these mirrored. On a larger image the network is fully convolutional: its classifier
            would give a score to each position of the last feature map, and as the classifier is
            linear, the mean of the scores over positions is its score of the mean over positions,
            which is what the network computes at any size.
        resize: int, length in pixels of the shorter side before cropping, or None for the image
            as it is. Not for `"multi-scale"`.
        crop: int, height and width of the crops in pixels. Not for `"multi-scale"`.
        interpolation: see `ClassificationPipelineConfig`.
        scales: ints, lengths in pixels of the shorter side for `"multi-scale"`.

    Returns:
        Callable from a uint8 image `(H, W, 3)` to a list of uint8 arrays `(V, h, w, 3)`, views of
        the same size together.

    Raises:
        ValueError: unknown protocol, or no scales.

    Reference:
        Krizhevsky et al. 2012, section 4.1 (10 crops); He et al. 2015, arXiv:1512.03385, section
        3.4, and Simonyan and Zisserman 2014, arXiv:1409.1556, section 3.2 (fully convolutional).

    Example:
    >>> views = make_views("multi-scale", scales=(32, 48))
    >>> [v.shape for v in views(np.zeros((40, 60, 3), "uint8"))]
    [(2, 32, 48, 3), (2, 48, 72, 3)]
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"`protocol` must be one of {PROTOCOLS}. Received: protocol={protocol!r}")
    if protocol == "multi-scale":
        if not scales:
            raise ValueError(f"`scales` must hold at least one length. Received: scales={scales}")
        return functools.partial(_scaled, scales=tuple(scales), interpolation=interpolation)
    cut = _one if protocol == "one-crop" else _ten
    return functools.partial(cut, resize=resize, crop=crop, interpolation=interpolation)


def _one(image, resize, crop, interpolation):
    return [centre_crop(image, resize, crop, interpolation)[None]]


def _ten(image, resize, crop, interpolation):
    return [ten_crop(image, resize, crop, interpolation)]


def _scaled(image, scales, interpolation):
    sizes = (rescale(image, side, interpolation) for side in scales)
    return [np.stack([scaled, scaled[:, ::-1]]) for scaled in sizes]


def evaluate_views(model, dataset, views, batch_size=64, limit=None, progress=None, rows=None):
    """Evaluates a classifier by the mean of its probabilities over several views of an image.

    Args:
        model: `keras.Model` from images `(B, H, W, 3)`, 0..255, to logits.
        dataset: an `ImageDataset`.
        views: callable that `make_views` returns.
        batch_size: int, views of 224 x 224 pixels that are computed at a time; of larger views,
            so many fewer.
        limit: int, evaluate only so many images, evenly spread over the data set; None for all.
        progress: callable that gets the number of images done and of all.
        rows: list, to which batches add what was predicted for each image, see
            `ClassificationFigures`; the images are those at `evaluated_positions`. None to keep
            nothing.

    Returns:
        Dict of floats `loss` (mean of minus the logarithm of the right class's mean
        probability), `accuracy` (top-1) and `top5`, and the int `images`.

    Raises:
        ValueError: `batch_size` or `limit` below 1, or views of another size than the model takes.

    Example:
    ```python
    figures = evaluate_views(model, dataset, make_views("ten-crop", resize=256, crop=224))
    ```
    """
    if batch_size < 1 or (limit is not None and limit < 1):
        raise ValueError(
            "`batch_size` and `limit` must be at least 1. "
            f"Received: batch_size={batch_size}, limit={limit}"
        )
    positions = evaluated_positions(len(dataset), limit)
    count = len(positions)
    chunks = [positions[i : i + batch_size] for i in range(0, count, batch_size)]
    forward = _Forward(model, batch_size * 224 * 224)

    def look(position):
        try:
            return views(dataset.read(int(position)))
        except ValueError as error:
            raise ValueError(f"{dataset.where(int(position))}: {error}") from None

    figures, done = ClassificationFigures(rows), 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        # The next images are read while the present ones are computed.
        coming = [pool.submit(look, position) for position in chunks[0]]
        for chunk, following in zip(chunks, [*chunks[1:], []]):
            stacks = [future.result() for future in coming]
            coming = [pool.submit(look, position) for position in following]
            figures.add(log_mean_probabilities(forward, stacks), dataset.labels[chunk])
            done += len(chunk)
            if progress is not None:
                progress(done, count)
    return figures.result()


def evaluated_positions(images, limit=None):
    """Positions of the images of a data set that an evaluation looks at.

    Args:
        images: int, how many there are.
        limit: int, at most so many, evenly spread; None for all.

    Returns:
        int array, ascending.

    Example:
    >>> evaluated_positions(10, limit=4).tolist()
    [0, 3, 6, 9]
    """
    count = images if limit is None else min(limit, images)
    return np.linspace(0, images - 1, count).round().astype("int64")


def class_probabilities(model, images, views, batch_size=64):
    """Probabilities of the classes of images, averaged over each image's views.

    Args:
        model, batch_size: as for `evaluate_views`.
        images: iterable of uint8 arrays `(H, W, 3)`, or of whatever `views` takes.
        views: callable that `make_views` returns.

    Returns:
        float64 array `(images, classes)`.

    Raises:
        ValueError: no images, or views of another size than the model takes.

    Example:
    ```python
    probabilities = class_probabilities(source.model, [image], make_views("one-crop", 256, 224))
    ```
    """
    forward = _Forward(model, batch_size * 224 * 224)
    remaining, found = iter(images), []
    while stacks := [views(image) for image in itertools.islice(remaining, batch_size)]:
        found.append(np.exp(log_mean_probabilities(forward, stacks)))
    if not found:
        raise ValueError("There are no images.")
    return np.concatenate(found)


def log_mean_probabilities(forward, stacks):
    """Logarithms of the probabilities of images' classes, averaged over each image's views.

    Args:
        forward: callable from uint8 images `(B, h, w, 3)` to logits `(B, classes)`.
        stacks: list of what a function of `make_views` returns, one for each image.

    Returns:
        float64 array `(images, classes)`.
    """
    groups = collections.defaultdict(list)
    for image, arrays in enumerate(stacks):
        for array in arrays:
            groups[array.shape[1:]].append((image, array))
    total = None
    for members in groups.values():
        images = np.repeat([image for image, _ in members], [len(array) for _, array in members])
        logits = forward(np.concatenate([array for _, array in members])).astype("float64")
        if total is None:
            total = np.full((len(stacks), logits.shape[1]), -np.inf)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        np.logaddexp.at(total, images, logits)
    views = [sum(len(array) for array in arrays) for arrays in stacks]
    return total - np.log(views)[:, None]


class _Forward:
    """Logits of any number of images of one size, `pixels` at a time."""

    def __init__(self, model, pixels):
        self._size = model.inputs[0].shape[1:3]
        self._pixels = pixels
        self._model = keras.Model(model.inputs, model.outputs)
        self._model.autocast = False  # the model itself says where 16 bits are enough
        # XLA compiles for each size, of which images in full have many.
        free = None in self._size and keras.backend.backend() == "tensorflow"
        self._model.compile(jit_compile=False if free else choose_jit())

    def __call__(self, images):
        height, width = images.shape[1:3]
        if any(own not in (None, given) for own, given in zip(self._size, (height, width))):
            raise ValueError(
                f"The model takes images of {self._size[1]} x {self._size[0]} pixels only; "
                f"evaluate it at one crop or ten crops of that size. Received: {width} x {height}"
            )
        most = max(1, self._pixels // (height * width))
        parts = [images[i : i + most] for i in range(0, len(images), most)]
        return np.concatenate([self._logits(part, most) for part in parts])

    def _logits(self, part, most):
        # Powers of two, so that few numbers of images have to be compiled for.
        size = min(most, 1 << (len(part) - 1).bit_length())
        filled = np.zeros((size, *part.shape[1:]), "float32")
        filled[: len(part)] = part
        logits = keras.ops.convert_to_numpy(self._model.predict_on_batch(filled))
        return logits[: len(part)]
