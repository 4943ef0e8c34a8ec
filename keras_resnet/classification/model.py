"""A classifier of images as they are: normalisation, network, class names; saved and loaded."""

from typing import Any, Literal

import keras
import numpy as np
import pydantic
from keras import ops

import keras_resnet
from keras_resnet.training.artifact import assign, load_artifact, save_artifact
from keras_resnet.training.config import StrictModel
from keras_resnet.training.config_words import validated
from keras_resnet.training.model_kind import CLASSIFIER as FORMAT
from keras_resnet.training.model_kind import find_artifact
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.untrusted.dry_run import dry_run
from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.untrusted.network_size import refuse_larger
from keras_resnet.variants import CIFAR_NETWORKS, IMAGENET_NETWORKS

VERSION = 1
# name: what differs from the defaults of `ResNet`
_NETWORKS = {"ResNet": {}, **IMAGENET_NETWORKS, **CIFAR_NETWORKS}


@keras.saving.register_keras_serializable(package="keras_resnet")
class Normalize(keras.layers.Layer):
    """`(image - mean) / std`, computed in float32.

    The values are weights, so that a mean image is saved with the model.

    Args:
        shape: shape of the mean: `(3,)`, or `(H, W, 3)` for a mean image.

    Call arguments:
        inputs: images `(B, H, W, 3)`, uint8 or float, 0..255.

    Returns:
        float of the compute dtype, same shape.

    Example:
    >>> import numpy as np
    >>> layer = Normalize((3,))
    >>> layer.set_values(mean=(100, 100, 100), std=(50, 50, 50))
    >>> float(layer(np.full((1, 1, 1, 3), 200, "uint8"))[0, 0, 0, 0])
    2.0
    """

    def __init__(self, shape=(3,), **kwargs):
        super().__init__(**kwargs)
        # Images of 0..255 lose digits as 16-bit floats.
        self.autocast = False
        self.shape = tuple(shape)
        common = {"trainable": False, "dtype": "float32", "autocast": False}
        self.mean = self.add_weight(shape=self.shape, initializer="zeros", name="mean", **common)
        self.std = self.add_weight(shape=(3,), initializer="ones", name="std", **common)
        self.built = True

    def set_values(self, mean, std):
        """Sets mean and standard deviation, on the scale 0..255."""
        self.mean.assign(np.broadcast_to(np.asarray(mean, "float32"), self.shape))
        self.std.assign(np.broadcast_to(np.asarray(std, "float32"), (3,)))

    def call(self, inputs):
        images = (ops.cast(inputs, "float32") - self.mean) / self.std
        return ops.cast(images, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "shape": self.shape}


class _Description(StrictModel):
    """What `model.json` holds."""

    format: Literal[FORMAT]
    version: Literal[VERSION]
    network: str
    options: dict[str, Any]
    image_size: tuple[pydantic.PositiveInt, pydantic.PositiveInt] | None
    mean_shape: tuple[pydantic.PositiveInt, ...]
    class_names: tuple[str, ...]
    evaluation: dict[str, Any]


def build_classifier(
    network, options, class_names, image_size=None, mean_shape=(3,), evaluation=None
):
    """Makes a model from images 0..255 to logits.

    Args:
        network: str, name of a function of `keras_resnet`, such as `"CifarResNet20"`.
        options: dict of its arguments.
        class_names: sequence of str.
        image_size: `(height, width)`, or None for free sizes.
        mean_shape: shape of the mean that is subtracted.
        evaluation: dict with `resize`, `crop` and `interpolation`, how images are prepared for
            evaluation, kept in the description; None for nothing.

    Returns:
        `keras.Model` with the layers `normalize` and `network`, and the attributes
        `class_names` and `description`.

    Raises:
        ValueError: an unknown network or arguments that it refuses.
    """
    # Not whatever is called so: the name may come from a stranger's file.
    if network not in _NETWORKS:
        raise ValueError(f"keras_resnet has no network of this name. Received: {network!r}")
    factory = getattr(keras_resnet, network)
    size = tuple(image_size) if image_size else (None, None)
    images = keras.Input((*size, 3), dtype="float32", name="images")
    normalize = Normalize(mean_shape, name="normalize")
    net = factory(
        input_shape=(*size, 3),
        classes=len(class_names),
        classifier_activation=None,
        name="network",
        **options,
    )
    model = keras.Model(images, net(normalize(images)), name=network.lower())
    model.autocast = False  # 16 bits before the mean is subtracted would lose digits
    model.class_names = tuple(class_names)
    model.description = {
        "format": FORMAT,
        "version": VERSION,
        "network": network,
        "options": options,
        "image_size": list(image_size) if image_size else None,
        "mean_shape": list(mean_shape),
        "class_names": list(class_names),
        "evaluation": dict(evaluation or {}),
    }
    return model


def save_classifier(model, folder):
    """Saves a model made by `build_classifier` as JSON, weights and hashes.

    Args:
        model: the model.
        folder: path; replaced as a whole if it holds an earlier artefact.

    Returns:
        `pathlib.Path` of the folder.

    Example:
    ```python
    save_classifier(model, "models/cifar")
    model = load_classifier("models/cifar")
    ```
    """
    return save_artifact(folder, model.description, variable_keys(model))


def load_classifier(source):
    """Loads a classifier.

    Args:
        source: a run folder (its best weights are taken) or a folder written by
            `save_classifier`.

    Returns:
        `keras.Model` from images 0..255 to logits, with `class_names`, not compiled.

    Raises:
        ValueError: nothing to load there, or it does not fit; the message says what.
    """
    folder = find_artifact(source, FORMAT)
    made = {}

    def expected(description, shapes):
        """Validates the description, and builds the model first without memory for its weights."""
        made["about"] = about = _validated(description, folder)
        arguments = {**_NETWORKS.get(about["network"], {}), **about["options"]}
        # Without arguments of their own all networks have those of `ResNet`.
        blocks, width = arguments.get("stage_blocks", (3, 4, 6, 3)), arguments.get("width", 64)
        refuse_larger(blocks, width, shapes, folder)
        return dry_run(lambda: variable_keys(_built(about, folder)))

    _, arrays = load_artifact(folder, expected, finite=True)
    model = _built(made["about"], folder)
    assign(variable_keys(model), arrays)
    return model


def _validated(description, folder):
    about = validated(_Description, description, f"{folder} describes no valid classifier")
    about = about.model_dump(mode="python")
    # These would be opened. The weights come from the artefact.
    for name in {"weights", "input_tensor"} & set(about["options"]):
        raise UntrustedFileError(
            f"{folder} describes a classifier with `{name}` from elsewhere. "
            f"Received: {name}={about['options'][name]!r}"
        )
    del about["format"], about["version"]
    return about


def _built(about, folder):
    try:
        return build_classifier(**about)
    except ValueError:
        raise
    # What a constructor makes of arguments of any kind.
    except Exception as error:
        raise UntrustedFileError(f"{folder} describes no valid classifier: {error}") from None
