"""Read weights from local files without running anything in them."""

import io
import json
import re
import zipfile

import numpy as np

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar")
SUFFIXES = (".safetensors", ".weights.h5", ".keras")
_NOTES = "keras_resnet"  # an entry of a safetensors file's metadata


def refuse_pickle(path):
    """Refuse a pickled checkpoint, which would run code when read, and say how to convert it."""
    if path.lower().endswith(_TORCH_SUFFIXES):
        target = re.sub(r"\.\w+$", "", path) + ".safetensors"
        raise ValueError(
            "Pickled checkpoints are not read, because reading one runs the code in it. Convert "
            "it where PyTorch is installed:\n"
            '  python -c "import torch, safetensors.torch as s; s.save_file({k: v.contiguous() '
            f"for k, v in torch.load('{path}', weights_only=True).items()}}, '{target}')\"\n"
            f"and pass the new file. Received: weights={path!r}"
        )


def read_safetensors(path):
    """Return the tensors of a `.safetensors` file as a dict of NumPy arrays."""
    import safetensors
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error


def write_safetensors(path, arrays, notes):
    """Write a dict of NumPy arrays as a `.safetensors` file, with notes that `read_notes` finds."""
    import safetensors.numpy

    # PyTorch's loaders look for the entry "format".
    metadata = {"format": "pt", _NOTES: json.dumps(notes)}
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, metadata
    )


def read_notes(path):
    """Return what `write_safetensors` noted of the network, an empty dict for others' files."""
    import safetensors

    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            notes = json.loads((file.metadata() or {}).get(_NOTES, "{}"))
    except (safetensors.SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    return {key: value for key, value in notes.items() if value is not None}


def read_keras(path):
    """Return the layer weights of a `.weights.h5` or `.keras` file as a dict of NumPy arrays.

    The keys are those of the file: `layers/<layer>/<child>/vars/<number>`.
    """
    import h5py

    try:
        if not path.endswith(".keras"):
            with h5py.File(path, "r") as file:
                return _datasets(file)
        with zipfile.ZipFile(path) as archive:
            content = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(content, "r") as file:
            return _datasets(file)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a readable Keras weights file: {error}") from error


def read_description(path):
    """Return what a `.keras` file says of its outermost object: class, registered name, config."""
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a readable Keras file: {error}") from error


def keras_names(model):
    """Map the keys of a Keras weights file to the variables of a network.

    Keras files name a layer by its class and its place among the layers of that class, a child by
    the attribute that holds it (in our layers also its name), and a variable by its number.
    """
    names, used = {}, {}
    for layer in model.layers:
        key = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        count = used.get(key, 0)
        used[key] = count + 1
        names |= _variables(f"layers/{key}_{count}" if count else f"layers/{key}", layer)
    return names


def _variables(prefix, layer):
    own = layer._trainable_variables + layer._non_trainable_variables
    names = {f"{prefix}/vars/{i}": variable for i, variable in enumerate(own)}
    for child in layer._layers:
        names |= _variables(f"{prefix}/{child.name}", child)
    return names


def _datasets(file):
    arrays = {}

    def visit(name, item):
        if hasattr(item, "shape") and name.startswith("layers/") and "seed_generator" not in name:
            arrays[name] = item[()]

    file.visititems(visit)
    return arrays
