"""Weights made by a rule from their torchvision name, as behind the golden values in tests/data."""

import math
import zlib

import numpy as np

SEED = 0


def rule_weight(name, shape, small_norms=("bn3.weight",)):
    """Return the tensor of one state-dict name, in torch's layout.

    Args:
        name: str, name in the torchvision state dict.
        shape: tuple, its shape there.
        small_norms: endings of the names of norm scales that are multiplied by 0.2.
    """
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    if name.endswith((".running_mean", ".bias")):
        value = 0.1 * rng.standard_normal(shape)
    elif name.endswith(".running_var"):
        value = rng.uniform(0.5, 1.5, shape)
    elif len(shape) == 1:
        value = rng.uniform(0.5, 1.5, shape)
        if name.endswith(small_norms):
            value = 0.2 * value
    else:
        value = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
        if name.endswith(("bbox_pred.weight", "cls_logits.weight", "cls_score.weight")):
            value = 0.1 * value
    return value.astype("float32")


def rule_state(shapes, small_norms=("bn3.weight",)):
    """Return a dict of `rule_weight` for a dict from name to shape."""
    return {name: rule_weight(name, tuple(shape), small_norms) for name, shape in shapes.items()}
