"""The usual remedies that people name when a deep net trains badly."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Remedy:
    """One change of a recipe.

    Attributes:
        text: str, what it is.
        changes: dict of fields of `Settings` and their values.
    """

    text: str
    changes: dict


REMEDIES = {
    "xavier": Remedy("Xavier initialisation", {"init": "xavier"}),
    "he_fan_out": Remedy("He initialisation by the fan-out", {"init": "he_fan_out"}),
    "normal": Remedy("initialisation by a normal of deviation 0.01", {"init": 0.01}),
    "clip": Remedy("gradients clipped to the norm 1", {"clip_norm": 1.0}),
    "no_l2": Remedy("no L2", {"weight_decay": 0.0}),
    "strong_l2": Remedy("L2 of 5e-4", {"weight_decay": 5e-4}),
    "batch64": Remedy("batches of 64, rate scaled, as many images", {"batch": 64}),
    "batch256": Remedy("batches of 256, rate scaled, as many images", {"batch": 256}),
}
