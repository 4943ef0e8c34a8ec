"""State dicts of torchvision's detectors, made by the rule behind the golden values."""

import json
from pathlib import Path

import numpy as np

from tests.rule_weights import rule_state

DATA = Path(__file__).parents[2] / "data"
NAMES = json.loads((DATA / "torchvision_fasterrcnn_names.json").read_text())


def full_state(name):
    """The rule's weights of a published architecture."""
    return rule_state(NAMES[name])


def small_shapes(v2=False, filters=16, units=24, num_rows=4):
    """Names and shapes of torchvision's detector on a ResNet-18, narrowed after the backbone."""
    resnets = json.loads((DATA / "torchvision_resnet_names.json").read_text())
    shapes = {
        f"backbone.body.{name}": shape
        for name, shape in resnets["resnet18"].items()
        if not name.startswith("fc.")
    }
    for name in [name for name in shapes if name.endswith("running_mean")]:
        shapes[name.replace("running_mean", "num_batches_tracked")] = ()
    wide = {256: filters, 1024: units, 12544: 49 * filters, 91: num_rows, 364: 4 * num_rows}
    for name, shape in NAMES[f"fasterrcnn_resnet50_fpn{'_v2' if v2 else ''}"].items():
        if name.startswith("backbone.body."):
            continue
        shape = [wide.get(side, side) for side in shape]
        if "inner_blocks" in name and len(shape) == 4:
            shape[1] = 64 * 2 ** int(name.split(".")[3])
        shapes[name] = shape
    return shapes


def small_state(**options):
    """The rule's weights for `small_shapes`."""
    state = rule_state(small_shapes(**options), small_norms=("bn2.weight",))
    return {name: np.asarray(value) for name, value in state.items()}


def pairs(a, b):
    """IoU of every box of `a` with every box of `b`."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [(x[:, 2:] - x[:, :2]).prod(-1) for x in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


def share_found(expected, boxes):
    """Share of the boxes of each set that the other has with an IoU above 0.999; the lower."""
    overlap = pairs(expected, boxes)
    return min((overlap > 0.999).any(axis).mean() for axis in (0, 1))


def share_detected(golden, boxes, labels, scores):
    """Share of golden (boxes, labels, scores) that have a detection of their own.

    That is one of the same label, within 0.1 pixel and within 1e-3 in score.
    """
    free = np.ones(len(scores), bool)
    found = 0
    for box, label, score in zip(*golden):
        near = (labels == label) & (np.abs(boxes - box).max(-1) <= 0.1)
        near &= (np.abs(scores - score) <= 1e-3) & free
        if near.any():
            free[np.argmax(near)] = False
            found += 1
    return found / len(golden[2])
