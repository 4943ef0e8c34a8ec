"""The batch at which a run diverged: kept as plain arrays, and computed again."""

import contextlib
import io
import json
import pathlib

import keras
import numpy as np

from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.training.verified_folder import write_file
from keras_resnet.training.write_errors import writing

_ABOUT = "about"


def save_batch(path, x, y, about):
    """Writes a batch to a `.npz` file of plain arrays.

    Args:
        path: path ending in `.npz`.
        x, y: an array, or nested dicts of arrays.
        about: dict that JSON can hold, such as the position and the names of the images.

    Returns:
        `pathlib.Path` of the file.
    """
    path = pathlib.Path(path)
    arrays = {key: np.asarray(value) for key, value in flat({"x": x, "y": y}).items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays, **{_ABOUT: np.array(json.dumps(about))})
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content.getbuffer())
    return path


def load_batch(path):
    """Reads what `save_batch` wrote; nothing in the file is run.

    Args:
        path: path of the file.

    Returns:
        `(x, y, about)`.

    Raises:
        ValueError: the file holds something else.
    """
    with np.load(path, allow_pickle=False) as arrays:
        if _ABOUT not in arrays:
            raise ValueError(f"{path} is no batch saved by a run. Received: {arrays.files[:5]}")
        about = json.loads(str(arrays[_ABOUT]))
        found = {}
        for key in arrays.files:
            *parents, name = key.split("/")
            place = found
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = arrays[key]
    return found["x"], found["y"], about


def flat(values, prefix=""):
    """Nested dicts as one dict with keys such as `x/images`."""
    found = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}/")
        else:
            found[prefix + key] = value
    return found


def not_finite(values):
    """Names of the arrays among values that hold a NaN or an infinity.

    Args:
        values: dict from name to an array, tensor or `keras.Variable`.

    Returns:
        List of str.
    """
    return [key for key, value in values.items() if not _finite(value)]


def replay(model, path):
    """Computes the losses of a saved batch, and finds where the first NaN or infinity comes from.

    Args:
        model: compiled `keras.Model` with the weights to try, such as those of `weights/last`.
            Statistics of its norms move, as in a step of training.
        path: path given to `save_batch`.

    Returns:
        dict with `losses` (dict from name to float), `layer` (str, the first layer whose output
        is not finite, or None), `inputs` and `weights` (lists of str, what is not finite among
        the arrays of the batch and the weights of the model) and `about`.

    Example:
    ```python
    model = detection.load("runs/a/weights/last")
    model.compile()
    replay(model, "runs/a/diverged_epoch3_step12.npz")
    ```
    """
    x, y, about = load_batch(path)
    tensors = [keras.tree.map_structure(keras.ops.convert_to_tensor, part) for part in (x, y)]
    weights = not_finite(variable_keys(model))
    model.reset_metrics()
    with _first_broken(model) as broken:
        predicted = model(tensors[0], training=True)
        total = model.compute_loss(x=tensors[0], y=tensors[1], y_pred=predicted, training=True)
    parts = {m.name: float(m.result()) for m in model.metrics if m.name.endswith("_loss")}
    return {
        "losses": {"loss": float(total), **parts},
        "layer": broken[0] if broken else None,
        "inputs": not_finite(flat({"x": x, "y": y})),
        "weights": weights,
        "about": about,
    }


@contextlib.contextmanager
def _first_broken(model):
    """Within it, layers whose output is not finite are added to the list, in their order."""
    broken, layers = [], list(model._flatten_layers(include_self=False))

    def watched(layer, call):
        def watching(*arguments, **options):
            outputs = call(*arguments, **options)
            if not all(_finite(value) for value in keras.tree.flatten(outputs)):
                broken.append((layer.path or layer.name).removeprefix(f"{model.name}/"))
            return outputs

        return watching

    for layer in layers:
        # In the instance, past Keras' tracking of attributes.
        object.__setattr__(layer, "call", watched(layer, layer.call))
    try:
        yield broken
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _finite(value):
    dtype = getattr(value, "dtype", None)
    if dtype is None or "float" not in keras.backend.standardize_dtype(dtype):
        return True
    return bool(keras.ops.convert_to_numpy(keras.ops.all(keras.ops.isfinite(value))))
