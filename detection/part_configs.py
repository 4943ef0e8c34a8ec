"""The configurations of a detector's parts, validated: backbone, RPN, second stage, views."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from keras_resnet.training.config import StrictModel
from keras_resnet.variants import IMAGENET_NETWORKS

# More than any detector has. A configuration may come with somebody else's weights, and must not
# ask for more memory than a machine has.
Width = Annotated[int, Field(gt=0, le=65_536)]
_Few = Annotated[int, Field(gt=0, le=64)]
_Many = Annotated[int, Field(gt=0, le=100_000)]
_Blocks = Annotated[int, Field(gt=0, le=1000)]
_MAX_LEVELS, _MAX_LAYERS = 16, 64

_Share = Annotated[float, Field(ge=0, le=1)]
_NotNegative = Annotated[float, Field(ge=0)]
Norm = Literal["batch", "sync_batch", "frozen", "group"]
_Anchors = Annotated[tuple[PositiveFloat, ...], Field(max_length=_MAX_LAYERS)]
_BoxWeights = tuple[PositiveFloat, PositiveFloat, PositiveFloat, PositiveFloat]

_NETWORK_NAMES = {
    "ResNet": "ResNet{}",
    "ResNetV2": "ResNet{}V2",
    "ResNetD": "ResNet{}D",
    "SEResNet": "SEResNet{}",
}


def refuse(config, names, reason):
    """Refuses values other than the defaults where they would do nothing."""
    for name in names:
        if getattr(config, name) != type(config).model_fields[name].default:
            raise ValueError(f"`{name}` has no effect {reason}; leave it out")


class StemConfig(StrictModel):
    """A stem of one's own: convolution, norm, ReLU and, if asked, a 3x3 max-pool of stride 2."""

    kernel_size: _Few = 3
    stride: _Few = 2
    pool: bool = True


class BackboneConfig(StrictModel):
    """A `keras_resnet` backbone: a published depth, or stages of your own."""

    depth: Literal[18, 34, 50, 101, 152] | None = None
    family: Literal["ResNet", "ResNetV2", "ResNetD", "SEResNet"] = Field(
        "ResNet", description="which published networks `depth` is one of"
    )
    stage_blocks: Annotated[tuple[_Blocks, ...], Field(max_length=_MAX_LEVELS)] | None = Field(
        None, examples=[(2, 2, 2, 2)]
    )
    block: Literal["basic", "bottleneck"] = "basic"
    width: Width = 64
    stem: Literal["imagenet", "3x3"] | StemConfig | None = Field(
        None, description="null: that of the family; `imagenet` for stages of your own"
    )
    stride_in: Literal["3x3", "1x1"] = "3x3"
    norm: Norm = "batch"
    norm_epsilon: _NotNegative | None = Field(
        None, description="added to the variance of the norms; null for their default"
    )
    zero_init_residual: bool = True
    weights: str | None = None
    freeze: str | None = Field(None, description="last stage to freeze: stem, C2, C3, ...")
    levels: tuple[str, ...] = ("C2", "C3", "C4", "C5")

    @model_validator(mode="after")
    def _one_architecture(self):
        if (self.depth is None) == (self.stage_blocks is None):
            raise ValueError("give either `depth` or `stage_blocks`")
        if self.depth is not None and (self.width != 64 or self.block != "basic"):
            raise ValueError("`width` and `block` go with `stage_blocks`; `depth` fixes them")
        if self.depth is None:
            refuse(self, ["family"], "with `stage_blocks`")
        elif self.network not in IMAGENET_NETWORKS:
            raise ValueError(f"there is no {self.network}; give another `depth` or `family`")
        if self.weights is not None and self.depth is None:
            raise ValueError("`weights` are published for a `depth` only")
        numbers = [int(name[1:]) for name in self.levels if name[:1] == "C" and name[1:].isdigit()]
        if not numbers or numbers != list(range(numbers[0], numbers[0] + len(self.levels))):
            raise ValueError(
                "`levels` must be consecutive stages, finest first, such as [C2, C3, C4]; the "
                "pyramid adds each level to the next finer one"
            )
        return self

    @property
    def network(self):
        """Name of the published network, or None."""
        return None if self.depth is None else _NETWORK_NAMES[self.family].format(self.depth)

    @property
    def blocks_per_stage(self):
        """Number of residual blocks of each stage."""
        if self.depth is None:
            return self.stage_blocks
        return IMAGENET_NETWORKS[self.network]["stage_blocks"]


class RPNConfig(StrictModel):
    """Arguments of `RegionProposalNetwork`."""

    anchor_sizes: tuple[_Anchors, ...] = Field(
        ((32,), (64,), (128,), (256,), (512,)), max_length=_MAX_LEVELS
    )
    aspect_ratios: _Anchors = (0.5, 1.0, 2.0)
    anchor_offset: float = 0.0
    anchor_rounded: bool = Field(False, description="half sides in whole pixels")
    anchor_fit_strides: bool = Field(
        False, description="spacing of the anchors by the image's side, see AnchorGenerator"
    )
    conv_depth: _Few = 1
    filters: Width | None = None
    pre_nms: tuple[_Many, _Many] = (2000, 1000)
    post_nms: tuple[_Many, _Many] = (1000, 1000)
    nms_threshold: _Share = 0.7
    min_size: _NotNegative = 0.0
    positive_iou: _Share = 0.7
    negative_iou: _Share = 0.3
    samples: _Many = 256
    positive_fraction: _Share = 0.5
    beta: _NotNegative = 0.0
    normalize_by: Literal["fixed", "sampled"] = "fixed"

    @model_validator(mode="after")
    def _ordered(self):
        if not 0 < self.negative_iou <= self.positive_iou:
            raise ValueError("`negative_iou` must be above 0 and at most `positive_iou`")
        return self


class SoftNMSConfig(StrictModel):
    """Duplicates get lower scores instead of being dropped."""

    method: Literal["linear", "gaussian"] = "gaussian"
    sigma: PositiveFloat = 0.5

    @model_validator(mode="after")
    def _nothing_ignored(self):
        if self.method == "linear":
            refuse(self, ["sigma"], "with the linear `method`, which uses `nms_threshold`")
        return self


class CascadeConfig(StrictModel):
    """Stages of box heads, each of which refines the boxes of the one before."""

    ious: tuple[_Share, ...] = Field((0.5, 0.6, 0.7), max_length=_MAX_LEVELS)
    box_weights: tuple[_BoxWeights, ...] = ((10, 10, 5, 5), (20, 20, 10, 10), (30, 30, 15, 15))

    @model_validator(mode="after")
    def _one_of_each(self):
        if len(self.ious) != len(self.box_weights) or not self.ious:
            raise ValueError("`ious` and `box_weights` need one entry for each stage")
        return self


class RoIHeadsConfig(StrictModel):
    """The second stage: pooling, box head, boxes, sampling and selection of detections."""

    pooling: Literal["align", "max"] = Field("align", description="RoIAlign or RoIPool")
    pool_size: _Few = 7
    sampling_ratio: int = Field(
        2, ge=0, le=64, description="samples per cell and axis; 0: adaptive"
    )
    max_samples: _Few = Field(4, description="largest adaptive sampling ratio")
    aligned: bool = True
    canonical_size: PositiveFloat = 224
    canonical_level: _Few = 4
    level_epsilon: _NotNegative = 1e-8
    convolutions: tuple[Width, ...] = Field(
        (),
        max_length=_MAX_LAYERS,
        description="filters, before `hidden`",
        examples=[(256, 256, 256, 256)],
    )
    head_norm: Norm | None = Field(None, description="after the convolutions of the head")
    hidden: tuple[Width, ...] = Field((1024, 1024), max_length=_MAX_LAYERS)
    class_agnostic: bool = False
    samples: _Many = 512
    positive_fraction: _Share = 0.25
    positive_iou: _Share = 0.5
    box_weights: _BoxWeights = (10.0, 10.0, 5.0, 5.0)
    box_loss: Literal["smooth_l1", "giou", "ciou"] = "smooth_l1"
    box_loss_weight: _NotNegative = 1.0
    beta: _NotNegative = Field(0.0, description="smooth_l1: where it becomes linear; 0: L1")
    score_threshold: _Share = 0.05
    nms_threshold: _Share = 0.5
    max_detections: _Many = 100
    min_size: _NotNegative = Field(0.0, description="pixels; shorter detections are dropped")
    soft_nms: SoftNMSConfig | None = None
    voting_iou: float | None = Field(
        None, gt=0, le=1, description="IoU from which boxes vote on a detection's; null: no voting"
    )
    refinements: int = Field(
        0,
        ge=0,
        le=64,
        description="how often regions are classified again at their regressed boxes",
    )
    context: bool = Field(False, description="global context: the whole image beside each region")
    cascade: CascadeConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values):
        if isinstance(values, dict) and values.get("cascade") is not None:
            return {"class_agnostic": True, **values}
        return values

    @model_validator(mode="after")
    def _nothing_ignored(self):
        if self.pooling == "max":
            refuse(self, ["sampling_ratio", "aligned"], "with `pooling: max`")
        if self.pooling == "max" or self.sampling_ratio:
            refuse(self, ["max_samples"], "without `sampling_ratio: 0`")
        if not self.convolutions:
            refuse(self, ["head_norm"], "without `convolutions`")
        if self.box_loss != "smooth_l1":
            refuse(self, ["beta"], f"with `box_loss: {self.box_loss}`")
        if self.soft_nms is not None and self.soft_nms.method == "gaussian":
            refuse(self, ["nms_threshold"], "with gaussian `soft_nms`")
        if self.cascade is not None:
            refuse(self, ["positive_iou", "box_weights"], "with `cascade`, which has its own")
            refuse(self, ["refinements", "context"], "with `cascade`, which refines boxes itself")
            if not self.class_agnostic:
                raise ValueError("a `cascade` refines one box a region: `class_agnostic: true`")
        return self


class TestTimeConfig(StrictModel):
    """Arguments of `TestTimeAugmentation`: what images are looked at more than once."""

    scales: tuple[Annotated[int, Field(gt=0, le=16_384)], ...] = Field(
        (),
        max_length=_MAX_LAYERS,
        description="shorter sides in pixels; []: the model's own",
        examples=[(600, 800, 1000)],
    )
    flip: bool = Field(False, description="also mirrored from left to right")
    merge: Literal["boxes", "features"] = Field(
        "boxes", description="boxes: before suppression; features: maxout over two nearest scales"
    )

    @model_validator(mode="after")
    def _nothing_ignored(self):
        if len(set(self.scales)) != len(self.scales):
            raise ValueError("`scales` must differ from each other")
        if not self.scales and not self.flip:
            raise ValueError("`test_time` needs `scales` or `flip: true`; leave it out for neither")
        return self
