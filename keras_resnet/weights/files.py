"""Read weights from local files without running anything in them."""

import contextlib
import json
import re

import numpy as np

from keras_resnet.preprocessing import STYLES
from keras_resnet.untrusted import hdf5_file, json_text, keras_file, safetensors_file
from keras_resnet.untrusted.errors import UntrustedFileError

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar")
SUFFIXES = (".safetensors", ".weights.h5", ".keras")
_NOTES = "keras_resnet"  # an entry of a safetensors file's metadata
_NOTED = {"variant": (dict,), "architecture": (dict,), "preprocessing": (str,)}


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


def read_safetensors(path, check=None):
    """Return the tensors of a `.safetensors` file as a dict of NumPy arrays.

    Args:
        path: str.
        check: function that is called before a tensor is read, with arrays of the same names,
            dtypes and shapes that take no memory, and raises to refuse them. None for none.

    Raises:
        UntrustedFileError: if the file is damaged, or holds NaN or infinity.
    """
    if check is not None:
        check(safetensors_file.placeholders(path))
    return _finite(safetensors_file.read_tensors(path), path)


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
    metadata = safetensors_file.read_metadata(path)
    notes = json_text.loads(metadata.get(_NOTES, "{}").encode(), f"the notes in {path}")
    if not isinstance(notes, dict):
        raise UntrustedFileError(f"The notes in {path} are no JSON object.")
    for name, kinds in _NOTED.items():
        if not isinstance(notes.get(name), (*kinds, type(None))):
            raise UntrustedFileError(
                f"The notes in {path} say of {name!r} what cannot be: {notes[name]!r}"
            )
    _refuse_style(notes.get("preprocessing"), path)
    return {key: value for key, value in notes.items() if value is not None}


def read_keras(path, check=None):
    """Return the layer weights of a `.weights.h5` or `.keras` file as a dict of NumPy arrays.

    The keys are those of the file: `layers/<layer>/<child>/vars/<number>`.

    Args:
        path: str.
        check: as in `read_safetensors`.

    Raises:
        UntrustedFileError: if the file is damaged, holds anything but plain arrays, or NaN or
            infinity.
    """
    opened = keras_file.open_weights if path.endswith(".keras") else _open_hdf5
    with opened(path) as datasets:
        datasets = {
            name: dataset
            for name, dataset in datasets.items()
            if name.startswith("layers/") and "seed_generator" not in name
        }
        if check is not None:
            check(hdf5_file.placeholders(datasets))
        return _finite(hdf5_file.read_arrays(datasets, path), path)


def read_description(path):
    """Return what a `.keras` file says of its outermost object: class, registered name, config."""
    description = keras_file.read_description(path)
    _refuse_style(description["config"].get("preprocessing"), path)
    return description


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


@contextlib.contextmanager
def _open_hdf5(path):
    with hdf5_file.open_arrays(path, path) as (_, datasets):
        yield datasets


def _finite(arrays, path):
    wrong = [
        name
        for name, array in arrays.items()
        if array.dtype.kind not in "iub" and not np.isfinite(array).all()
    ]
    if wrong:
        raise UntrustedFileError(
            f"{path} holds weights that are NaN or infinite: {', '.join(wrong[:5])}"
            f"{' and more' if wrong[5:] else ''}."
        )
    return arrays


def _refuse_style(style, path):
    if style is not None and style not in STYLES:
        raise UntrustedFileError(
            f"{path} asks for a preprocessing that does not exist: {style!r}. It can be one of "
            f"{', '.join(STYLES)}."
        )
