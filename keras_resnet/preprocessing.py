"""From pixels to what the weights were trained on, and from scores to names."""

import warnings

import keras
import numpy as np

from keras_resnet._arguments import choose, standardize_data_format


def preprocess_input(x, data_format=None, style="torch"):
    """Turn RGB images with values 0..255 into the input that trained weights expect.

    The style belongs to the weights: `weights_info(name).preprocessing`.

    Args:
        x: NumPy array or tensor `[..., H, W, 3]` (`[..., 3, H, W]`), RGB, 0..255, any dtype.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        style: `"torch"` (scaled to 0..1, then ImageNet's mean and standard deviation per channel:
            every name of `list_weights()`), or `"caffe"` (BGR minus the mean: weights converted
            from `keras.applications`).

    Returns:
        Float array or tensor of the same shape.

    Raises:
        ValueError: for an unknown style.

    Example:

    >>> keras_resnet.preprocess_input(np.full((1, 1, 3), 255, "uint8"))[0, 0].round(2)
    array([2.25, 2.43, 2.64], dtype=float32)
    """
    choose("style", style, ("torch", "caffe"))
    data_format = standardize_data_format(data_format)
    if isinstance(x, np.ndarray):
        # Copied, because Keras works in place on float arrays.
        x = np.array(x, dtype=keras.config.floatx())
        if x.size and (x.min() < 0 or 0 < x.max() <= 1.0):
            warnings.warn(
                "preprocess_input expects values 0..255, but these lie in "
                f"[{x.min():.3g}, {x.max():.3g}]; were the images scaled already?",
                stacklevel=2,
            )
    return keras.applications.imagenet_utils.preprocess_input(x, data_format, mode=style)


def decode_predictions(predictions, top=5):
    """Name the most probable ImageNet classes.

    Args:
        predictions: array `[B, 1000]`, scores in the usual order of the ImageNet classes.
        top: int, classes to return per image.

    Returns:
        A list per image of (WordNet id, name, score), best first. Keras downloads the table of
        names at the first use.

    Raises:
        ValueError: if `predictions` has another shape.

    Example:

    >>> keras_resnet.decode_predictions(np.eye(1, 1000), top=1)  # doctest: +SKIP
    [[('n01440764', 'tench', 1.0)]]
    """
    return keras.applications.imagenet_utils.decode_predictions(np.asarray(predictions), top=top)
