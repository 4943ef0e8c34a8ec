"""Reads torchvision's detectors: a state dict, from a file, a repository or memory."""

import dataclasses
import os
import re

import numpy as np

from detection.weights.registry import REGISTRY, placed_file
from keras_resnet.weights import files, hub
from keras_resnet.weights.presence import check_repository

BODY = "backbone.body."
_COUNTER = "num_batches_tracked"
# Names before torchvision 0.14, as its published checkpoints still have them.
_RENAMED = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
)


@dataclasses.dataclass(frozen=True)
class State:
    """A detector's tensors in torch's layout.

    Attributes:
        arrays: dict from torchvision's present name to NumPy array, without step counters.
        source: str, what they come from, for errors.
        norm: `"batch"` or `"frozen"`: the norms that the backbone was trained with.
        norm_epsilon: float, what its norms add to the variance.
    """

    arrays: dict
    source: str
    norm: str
    norm_epsilon: float


def is_torchvision(source):
    """Tell whether `read_state` is for `source`, rather than a folder of ours."""
    if isinstance(source, dict):
        return True
    source = os.fspath(source)
    if source in REGISTRY or source.startswith("hf://"):
        return True
    files.refuse_pickle(source)
    return source.endswith(".safetensors")


def read_state(source, check=None):
    """Read the state dict of a torchvision detector.

    Checkpoints with step counters (`num_batches_tracked`) have trainable batch norms with an
    epsilon of 1e-5; those without, as the published `fasterrcnn_resnet50_fpn`, have frozen norms
    with an epsilon of 0.

    Args:
        source: a name of `list_detectors()`, the path of a `.safetensors` file,
            `"hf://owner/name"` whose `model.safetensors` has torchvision's names, or the state
            dict itself, a dict of arrays.
        check: function that is called with a `State` before the tensors are read: its arrays have
            the names, dtypes and shapes that the file declares, and take no memory. It raises to
            refuse them. None for none.

    Returns:
        A `State`.

    Raises:
        ValueError: if the file is pickled or no safetensors file.
        FileNotFoundError: if there is no such file.
        OSError: if weights by name are not on this machine and cannot be downloaded.
    """
    if isinstance(source, dict):
        state = _state(source, "the state dict", None)
        if check is not None:
            check(state)
        return state
    label = os.fspath(source)
    row = REGISTRY.get(label)

    def check_file(arrays):
        if check is not None:
            check(_state(arrays, label, row))

    return _state(files.read_safetensors(_path(label, row), check_file), label, row)


def check_source(source):
    """Raise what `read_state` would where it does not find the weights; nothing is read.

    Args:
        source: str, as for `read_state`.

    Returns:
        str on what would be downloaded, None where nothing would.

    Raises:
        ValueError, OSError: as `read_state`.
    """
    if source.startswith("hf://"):
        return check_repository(source.removeprefix("hf://"))
    _path(source, REGISTRY.get(source))
    return None


def _state(arrays, label, row):
    arrays = {_present_name(name): np.asarray(array) for name, array in arrays.items()}
    trained = any(name.endswith(_COUNTER) for name in arrays)
    norm, epsilon = ("batch", 1e-5) if trained else ("frozen", 0.0)
    if row is not None:
        norm, epsilon = row.norm, row.norm_epsilon
    arrays = {name: array for name, array in arrays.items() if not name.endswith(_COUNTER)}
    return State(arrays, label, norm, epsilon)


def _path(source, row):
    if row is not None:
        return placed_file(row)
    if source.startswith("hf://"):
        return hub.fetch(source.removeprefix("hf://"))
    files.refuse_pickle(source)
    if not source.endswith(".safetensors"):
        raise ValueError(
            "torchvision's weights are given by name "
            f"({', '.join(REGISTRY)}), as 'hf://owner/name' or as the path of a .safetensors "
            f"file. Received: source={source!r}"
        )
    if not os.path.isfile(source):
        raise FileNotFoundError(f"There is no weights file {source}")
    return source


def _present_name(name):
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    return name
