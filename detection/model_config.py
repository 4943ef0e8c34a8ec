"""The configuration of a detector's networks: its parts, and how they go together."""

from typing import Literal

import pydantic
from pydantic import Field, model_validator

from detection.part_configs import (
    BackboneConfig,
    CascadeConfig,
    Norm,
    RoIHeadsConfig,
    RPNConfig,
    SoftNMSConfig,
    StemConfig,
    TestTimeConfig,
    Width,
    refuse,
)
from detection.pixels import PIXEL_MEAN, PIXEL_STD
from keras_resnet.training.config import StrictModel

__all__ = [
    "BackboneConfig",
    "CascadeConfig",
    "ModelConfig",
    "RPNConfig",
    "RoIHeadsConfig",
    "SoftNMSConfig",
    "StemConfig",
    "TestTimeConfig",
]

# What other architectures than the pyramid start from where nothing is said: one map, on which
# anchors of all sizes sit.
_ONE_MAP = {
    "anchor_sizes": ((32, 64, 128, 256, 512),),
    "pre_nms": (12000, 6000),
    "post_nms": (2000, 1000),
}
_DEFAULTS = {
    "c4": {"rpn": _ONE_MAP, "roi_heads": {"pool_size": 14}},
    "dc5": {"rpn": _ONE_MAP},
}


class ModelConfig(StrictModel):
    """Everything that makes a `FasterRCNN`, but for the classes."""

    architecture: Literal["fpn", "c4", "dc5"] = "fpn"
    backbone: BackboneConfig
    fpn_filters: Width = 256
    fpn_norm: Norm | None = Field(None, description="after every convolution of the pyramid")
    rpn: RPNConfig = RPNConfig()
    roi_heads: RoIHeadsConfig = RoIHeadsConfig()
    test_time: TestTimeConfig | None = Field(
        None, description="used by detect, evaluate_detector and predict; not during training"
    )
    pixel_mean: tuple[float, float, float] = PIXEL_MEAN
    pixel_std: tuple[float, float, float] = PIXEL_STD

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values):
        """Fills in what the architecture starts from where nothing is said."""
        architecture = values.get("architecture") if isinstance(values, dict) else None
        if not isinstance(architecture, str) or architecture not in _DEFAULTS:
            return values
        filled = {**values}
        for section in ("backbone", "rpn", "roi_heads"):
            given = values.get(section, {})
            if isinstance(given, pydantic.BaseModel):
                given = given.model_dump(exclude_unset=True)
            if not isinstance(given, dict):
                continue  # refused later, by its type
            filled[section] = {**_DEFAULTS[architecture].get(section, {}), **given}
            blocks = given.get("stage_blocks") or (1, 1, 1, 1)
            if section == "backbone" and isinstance(blocks, (list, tuple)):
                filled[section].setdefault("levels", _levels(architecture, blocks))
        return filled

    @model_validator(mode="after")
    def _nothing_ignored(self):
        by_features = self.test_time is not None and self.test_time.merge == "features"
        if by_features and self.roi_heads.cascade is not None:
            raise ValueError("a `cascade` goes with `test_time.merge: boxes` only")
        if self.architecture == "fpn":
            return self
        if len(self.backbone.blocks_per_stage) < 2:
            raise ValueError(f"the {self.architecture} architecture needs two stages at least")
        names = _levels(self.architecture, self.backbone.blocks_per_stage)
        if self.backbone.levels != names:
            raise ValueError(
                f"`backbone.levels` of the {self.architecture} architecture on this backbone are "
                f"[{', '.join(names)}]; leave them out"
            )
        where = f"with `architecture: {self.architecture}`"
        refuse(self, ["fpn_filters", "fpn_norm"], where)
        refuse(self.roi_heads, ["canonical_size", "canonical_level", "level_epsilon"], where)
        if self.architecture == "c4":
            refuse(self.roi_heads, ["convolutions", "head_norm", "hidden", "cascade"], where)
        return self

    def without_weights(self):
        """The same architecture, to be filled from somewhere else."""
        backbone = self.backbone.model_copy(update={"weights": None})
        return self.model_copy(update={"backbone": backbone})


def _levels(architecture, stage_blocks):
    """The feature map of a detector without pyramid: the last but one, or the last."""
    last = 1 + len(stage_blocks)  # the first stage makes C2
    return (f"C{last - 1 if architecture == 'c4' else last}",)
