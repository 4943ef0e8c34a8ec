"""The published detectors that can be loaded by name."""

import dataclasses
import os

FILE_NAME = "model.safetensors"


@dataclasses.dataclass(frozen=True)
class DetectorWeights:
    """What is known of one set of published weights.

    Attributes:
        name: str, as `FasterRCNN.from_pretrained` takes it.
        url: str, where the PyTorch checkpoint is published.
        box_ap: float, its published AP on COCO val2017, in percent.
        norm: str, norm that the backbone was trained with.
        norm_epsilon: float, what its norms add to the variance.
        licence: str, under which the weights are published.
    """

    name: str
    url: str
    box_ap: float
    norm: str
    norm_epsilon: float
    licence: str = "bsd-3-clause"


_PUBLISHER = "https://download.pytorch.org/models"
_ROWS = (
    DetectorWeights(
        "fasterrcnn_resnet50_fpn_coco",
        f"{_PUBLISHER}/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        box_ap=37.0,
        norm="frozen",
        norm_epsilon=0.0,
    ),
    DetectorWeights(
        "fasterrcnn_resnet50_fpn_v2_coco",
        f"{_PUBLISHER}/fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        box_ap=46.7,
        norm="batch",
        norm_epsilon=1e-5,
    ),
)
REGISTRY = {row.name: row for row in _ROWS}


def list_detectors():
    """Return what is known of the published detectors.

    Returns:
        List of `DetectorWeights`.

    Example:

    >>> [(row.name, row.box_ap) for row in list_detectors()]
    [('fasterrcnn_resnet50_fpn_coco', 37.0), ('fasterrcnn_resnet50_fpn_v2_coco', 46.7)]
    """
    return list(_ROWS)


def placed_file(row):
    """Return the file of a published detector on this machine.

    The checkpoints are published as pickles only, which are not read; so they are converted once
    and placed at `~/.keras/keras_resnet/torchvision/<name>/model.safetensors` (under
    `$KERAS_HOME` if set).

    Args:
        row: a `DetectorWeights`.

    Returns:
        str.

    Raises:
        OSError: if the file is not there; says how to make it.
    """
    home = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
    placed = os.path.join(home, "keras_resnet", "torchvision", row.name, FILE_NAME)
    if os.path.isfile(placed):
        return placed
    raise OSError(
        f"The weights {row.name!r} are not on this machine. They are published as a pickled "
        "checkpoint, which is not read here because reading one runs the code in it. Where "
        "PyTorch and a network are, run\n"
        '  python -c "import torch, safetensors.torch as s; s.save_file({k: v.contiguous() '
        f"for k, v in torch.hub.load_state_dict_from_url('{row.url}', weights_only=True).items()}}"
        f", '{FILE_NAME}')\"\n"
        f"and place {FILE_NAME} at {placed}"
    )
