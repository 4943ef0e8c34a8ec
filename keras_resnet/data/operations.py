"""The operations of RandAugment and TrivialAugment, done by Pillow.

Pillow's operations are those that published recipes were trained with, and work without
TensorFlow. The layer of keras-cv cannot be made to repeat what it did (it draws from generators
shared by the whole process), and that of Keras draws one set of operations for a whole batch.
"""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

_LEVELS = 31  # Strengths, from 0.


def _affine(matrix):
    return lambda image, value: image.transform(
        image.size, Image.Transform.AFFINE, matrix(value), Image.Resampling.NEAREST
    )


def _enhance(kind):
    return lambda image, value: kind(image).enhance(1 + value)


# name: function of a PIL image and a strength.
OPERATIONS = {
    "identity": lambda image, value: image,
    "shear_x": _affine(lambda v: (1, v, 0, 0, 1, 0)),
    "shear_y": _affine(lambda v: (1, 0, 0, v, 1, 0)),
    "translate_x": _affine(lambda v: (1, 0, -int(v), 0, 1, 0)),
    "translate_y": _affine(lambda v: (1, 0, 0, 0, 1, -int(v))),
    "rotate": lambda image, value: image.rotate(value),
    "brightness": _enhance(ImageEnhance.Brightness),
    "saturation": _enhance(ImageEnhance.Color),
    "contrast": _enhance(ImageEnhance.Contrast),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "posterize": lambda image, value: ImageOps.posterize(image, int(value)),
    "solarize": lambda image, value: ImageOps.solarize(image, value),
    "auto_contrast": lambda image, value: ImageOps.autocontrast(image),
    "equalize": lambda image, value: ImageOps.equalize(image),
}
_NAMES = tuple(OPERATIONS)
_SIGNED = np.array([1 <= number <= 9 for number in range(len(_NAMES))])


def _strengths(shear, translate, rotate, enhance, bits):
    """Strengths of all operations at all levels: float `(14, 31)`."""
    levels = np.arange(_LEVELS) / (_LEVELS - 1)
    top = [0, shear, shear, translate, translate, rotate, *[enhance] * 4]
    table = np.zeros((len(_NAMES), _LEVELS))
    table[: len(top)] = np.outer(top, levels)
    table[_NAMES.index("posterize")] = 8 - np.rint(bits * levels)
    table[_NAMES.index("solarize")] = 255 * (1 - levels)
    return table


def draw_rand_augment(rng, count, config):
    """Draws the operations of RandAugment.

    The ranges are those of torchvision: shear 0.3, translation 150/331 of the size, rotation by
    30 degrees, factors of 1 +- 0.9, 4 bits.

    Args:
        rng: `numpy.random.Generator`.
        count: int, number of images.
        config: a `ClassificationPipelineConfig` with `rand_augment`.

    Returns:
        `(operations, strengths)`: int and float arrays `(count, num_ops)`.

    Reference:
        Cubuk et al. 2019, arXiv:1909.13719.
    """
    chosen = rng.integers(0, len(_NAMES), (count, config.rand_augment.num_ops))
    table = _strengths(0.3, 150 / 331 * config.image_size, 30, 0.9, 4)
    return chosen, _sign(rng, chosen, table[chosen, config.rand_augment.magnitude])


def draw_trivial_augment(rng, count):
    """Draws one operation for each image, of any strength.

    The ranges are the wide ones of the paper: shear 0.99, translation by 32 pixels, rotation by
    135 degrees, factors of 1 +- 0.99, 6 bits.

    Args:
        rng: `numpy.random.Generator`.
        count: int, number of images.

    Returns:
        `(operations, strengths)`: int and float arrays `(count, 1)`.

    Reference:
        Müller and Hutter 2021, arXiv:2103.10158.
    """
    chosen = rng.integers(0, len(_NAMES), (count, 1))
    level = rng.integers(0, _LEVELS, (count, 1))
    return chosen, _sign(rng, chosen, _strengths(0.99, 32, 135, 0.99, 6)[chosen, level])


def _sign(rng, chosen, strength):
    negative = rng.random(chosen.shape) < 0.5
    return np.where(negative & _SIGNED[chosen], -strength, strength)


def apply_operations(image, chosen, strengths):
    """Changes an image by operations.

    Args:
        image: uint8 array `(H, W, 3)`.
        chosen: int array `(N,)`, numbers of the operations, done in this order.
        strengths: float array `(N,)`.

    Returns:
        uint8 array `(H, W, 3)`.

    Example:
    >>> solarize = list(OPERATIONS).index("solarize")
    >>> apply_operations(np.full((1, 1, 3), 200, "uint8"), [solarize], [128.0]).tolist()
    [[[55, 55, 55]]]
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    for number, strength in zip(chosen, strengths):
        picture = OPERATIONS[_NAMES[number]](picture, float(strength))
    return np.asarray(picture)
