"""Whether the files of weights are there, found out without reading them or asking anybody."""

import os

import keras

from keras_resnet.weights import hub, keras_applications
from keras_resnet.weights.load import check_file, named_row
from keras_resnet.weights.registry import check_variant


def check_weights(model, weights):
    """Raises what `load_weights` would where it does not find the weights.

    Args:
        model: as in `load_weights`; its variables need no values.
        weights: as in `load_weights`.

    Returns:
        str on what would be downloaded, None where nothing would.

    Raises:
        ValueError: the weights belong to another variant, are pickled or unknown.
        FileNotFoundError: there is no such file.
        OSError: they would have to be downloaded, and the hub's client is told to stay offline.

    Example:
    ```python
    check_weights(keras_resnet.ResNet50(include_top=False), "imagenet")
    ```
    """
    if isinstance(weights, keras.Model):
        return None
    weights = os.fspath(weights)
    row = named_row(model, weights)
    if row is not None:
        check_variant(model, row)
    if row is not None and row.repository is None:
        return None if os.path.isfile(keras_applications.local_path(row)) else downloaded(row.name)
    if row is not None or weights.startswith("hf://"):
        return check_repository(row.repository if row else weights.removeprefix("hf://"))
    check_file(weights)
    return None


def check_repository(repository):
    """Raises what `hub.fetch` would without network, where the client is not to use one.

    Args:
        repository: str, `owner/name`.

    Returns:
        As `check_weights`.

    Raises:
        ValueError, OSError: as `hub.fetch`.
    """
    if hub.is_here(repository):
        return None
    if hub.is_offline():
        hub.fetch(repository)
    return downloaded(f"hf://{repository}")


def downloaded(name):
    """What is said of weights that a run would download."""
    return f"the weights {name} are not on this machine: the run downloads them"
