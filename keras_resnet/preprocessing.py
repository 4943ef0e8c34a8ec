"""From pixels to what the weights were trained on, and from scores to names."""

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_resnet._arguments import choose, standardize_data_format

# style: (mean, standard deviation) of the normalization of RGB images scaled to 0..1, where the
# style is one.
STYLES = {
    "torch": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "tf": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "caffe": None,
}


def preprocess_input(x: Any, data_format: str | None = None, style: str = "torch") -> Any:
    """Turn RGB images with values 0..255 into the input that trained weights expect.

    The style belongs to the weights; `preprocess_input_for(model)` knows that of a loaded network.

    Args:
        x: array or tensor `[..., H, W, 3]` (`[..., 3, H, W]`), RGB, 0..255, any dtype; or what
            NumPy makes one of, such as a PIL image.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        style: `"torch"` (scaled to 0..1, then ImageNet's mean and standard deviation per channel:
            the weights of torchvision and timm), `"caffe"` (BGR minus the mean: the ResNets of
            `keras.applications`) or `"tf"` (scaled to -1..1: its ResNets V2).

    Returns:
        Float array or tensor of the same shape.

    Raises:
        ValueError: for an unknown style, and for images that have not 3 channels.

    Warns:
        UserWarning: if the values are plainly not 0..255, as far as they are known (not in a
            compiled function).

    Example:

    >>> keras_resnet.preprocess_input(np.full((1, 1, 3), 255, "uint8"))[0, 0].round(2)
    array([2.25, 2.43, 2.64], dtype=float32)
    """
    choose("style", style, tuple(STYLES))
    data_format = standardize_data_format(data_format)
    if keras.ops.is_tensor(x) or keras.utils.is_keras_tensor(x):
        _check_channels(x, data_format)
        _warn_of_range(x)
        x = keras.ops.cast(x, keras.config.floatx())
    else:
        # Copied, because Keras works in place on float arrays.
        x = np.array(x, dtype=keras.config.floatx())
        _check_channels(x, data_format)
        _warn_of_range(x)
    return keras.applications.imagenet_utils.preprocess_input(x, data_format, mode=style)


def preprocess_input_for(model: keras.Model) -> Callable[[Any], Any]:
    """Return the `preprocess_input` that the weights of a network were trained with.

    `load_weights` (and `weights=` of the factories) records the style in the network, where it
    survives saving and the nesting in other models.

    Args:
        model: a `ResNet`, or any model that contains the layers of one.

    Returns:
        Function from images `[..., H, W, 3]`, RGB, 0..255, to the network's input.

    Raises:
        ValueError: if there is no network in the model, or its weights say nothing, as random ones
            and those of a `.weights.h5` file.

    Example:

    >>> model = keras_resnet.ResNet18()
    >>> model.preprocessing = "torch"  # or load weights
    >>> preprocess_input = keras_resnet.preprocess_input_for(model)
    >>> preprocess_input(np.full((1, 1, 3), 255, "uint8"))[0, 0].round(2)
    array([2.25, 2.43, 2.64], dtype=float32)
    """
    found = {}
    for layer in model._flatten_layers():
        style = getattr(layer, "preprocessing", None)
        if isinstance(style, str) and style in STYLES:
            found[style] = getattr(layer, "data_format", None)
    if len(found) != 1:
        known = f"contains networks of the styles {', '.join(found)}" if found else "has none"
        raise ValueError(
            "The preprocessing is recorded when weights are loaded that say theirs. Otherwise set "
            "`model.preprocessing` of the network, or call preprocess_input(x, style=...). "
            f"Received: a model {model.name!r} that {known}"
        )
    ((style, data_format),) = found.items()
    return functools.partial(preprocess_input, data_format=data_format, style=style)


def style_of_normalization(mean, std, source):
    """Return the style with this normalization of images scaled to 0..1; None with a warning.

    Args:
        mean, std: sequences of 3 floats, RGB.
        source: str, what is normalized so, for the warning.
    """
    for style, known in STYLES.items():
        if known is not None and np.allclose(known, (mean, std), atol=1e-3):
            return style
    warnings.warn(
        f"{source} wants images scaled to 0..1 and normalized with mean={tuple(mean)}, "
        f"std={tuple(std)}, which is no style of preprocess_input: do it yourself.",
        stacklevel=4,
    )
    return None


def decode_predictions(predictions: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Name the most probable ImageNet classes.

    Args:
        predictions: array or tensor `[B, 1000]`, scores in the usual order of the ImageNet
            classes.
        top: int, classes to return per image.

    Returns:
        A list per image of (WordNet id, name, score), best first. Keras downloads the table of
        names at the first use.

    Raises:
        ValueError: if `predictions` has another shape.
        OSError: if the table is neither here nor reachable; says where to place it.

    Example:

    >>> keras_resnet.decode_predictions(np.eye(1, 1000), top=1)  # doctest: +SKIP
    [[('n01440764', 'tench', 1.0)]]
    """
    predictions = keras.ops.convert_to_numpy(predictions)
    if predictions.ndim != 2 or predictions.shape[1] != 1000:
        raise ValueError(
            "`predictions` must hold the scores of ImageNet's 1000 classes for each image, shape "
            f"(B, 1000). Received: predictions of shape {predictions.shape}"
        )
    try:
        return keras.applications.imagenet_utils.decode_predictions(predictions, top=top)
    # Keras raises a bare Exception for a failed download.
    except Exception as error:
        name = "imagenet_class_index.json"
        home = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
        raise OSError(
            f"The names of the classes are not on this machine and could not be downloaded "
            f"({str(error).splitlines()[0]}). Download https://storage.googleapis.com/"
            f"download.tensorflow.org/data/{name} elsewhere and place it at "
            f"{os.path.join(home, 'models', name)}"
        ) from error


def warn_of_inputs(x, style, name):
    """Warn if images are plainly not what `preprocess_input(..., style=style)` returns.

    Args:
        x: NumPy array of images; the first few are looked at.
        style: a key of `STYLES`.
        name: str, of the network they are for.

    Returns:
        bool, whether they are.
    """
    values = x[:8]
    if values.size == 0:
        return False
    low, high = float(values.min()), float(values.max())
    spread = high - low
    if style == "caffe":
        raw = high > 160 or low < -130 or (low >= 0 and spread > 60)
        scaled = max(high, -low) < 4 and spread > 0.5
    else:
        raw = high > 10 or low < -10
        # Normalized images reach below 0; -1..1 holds 0..1, so there nothing is plain.
        scaled = style == "torch" and low >= 0 and high <= 1 and spread > 0.5
    if raw or scaled:
        warnings.warn(
            f"The weights of {name!r} were trained on images from preprocess_input(..., "
            f"style={style!r}), but these lie in [{low:.3g}, {high:.3g}]; pass images 0..255 "
            "through preprocess_input_for(model) first.",
            stacklevel=4,
        )
    return raw or scaled


def _check_channels(x, data_format):
    """Refuse images that have not 3 channels, as far as the shape is known."""
    try:
        shape = tuple(x.shape)
    except ValueError:
        return  # a tensor of unknown rank
    channels = 3 if len(shape) < 3 else shape[-1 if data_format == "channels_last" else -3]
    if len(shape) < 3 or channels not in (3, None):
        raise ValueError(
            "Images must have 3 channels, RGB, in shape [..., H, W, 3] (or [..., 3, H, W] with "
            f"data_format='channels_first'). Received: images of shape {shape}"
        )


def _warn_of_range(x):
    """Warn if the values of images are known and cannot be 0..255."""
    if keras.utils.is_keras_tensor(x):
        return
    try:
        values = x if isinstance(x, np.ndarray) else keras.ops.convert_to_numpy(x)
    except Exception:
        # A tensor of a function that is being compiled; the backends share no error for it.
        return
    if values.size == 0:
        return
    low, high = float(values.min()), float(values.max())
    if low < 0 or 0 < high <= 1 or high > 255:
        warnings.warn(
            f"preprocess_input expects values 0..255, but these lie in [{low:.3g}, {high:.3g}]; "
            "were the images scaled already?",
            stacklevel=3,
        )
