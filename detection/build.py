"""Builds a detector from its configuration."""

import keras_resnet
from detection.anchors import AnchorGenerator
from detection.faster_rcnn import FasterRCNN
from detection.fpn import FeaturePyramid
from detection.roi_heads import RoIHeads
from detection.rpn import RegionProposalNetwork


_ANCHOR_KEYS = {
    "anchor_sizes",
    "aspect_ratios",
    "anchor_offset",
    "anchor_rounded",
    "anchor_fit_strides",
}


def build_model(config, categories, preprocessing=None, seed=0):
    """Builds a Faster R-CNN with a feature pyramid.

    Args:
        config: a `detection.config.ModelConfig`.
        categories: sequence of `{"id": ..., "name": ...}`, one a class.
        preprocessing: how images are resized, see `FasterRCNN`.
        seed: int, seed of the sampling in training.

    Returns:
        A built `FasterRCNN` with the parts that `config.backbone.freeze` names frozen.

    Example:

    ```python
    config = detection.load_config("quickstart")
    model = detection.build_model(config.model, [{"id": 1, "name": "cat"}])
    ```
    """
    backbone_config = config.backbone
    backbone = build_backbone(backbone_config)
    if backbone_config.freeze is not None:
        keras_resnet.freeze(backbone, up_to=backbone_config.freeze, norms=False)
    levels = backbone_config.levels
    first = int(levels[0][1:])
    features = keras_resnet.feature_extractor(backbone, levels)
    size = 1024
    shapes = features.compute_output_shape((1, size, size, 3))
    strides = tuple(size // shapes[level][1] for level in levels)
    rpn = config.rpn
    if len(rpn.anchor_sizes) != len(levels) + 1:
        raise ValueError(
            "`model.rpn.anchor_sizes` needs one entry for each pyramid level: "
            f"{len(levels)} of the backbone and one pooled. Received: {rpn.anchor_sizes}"
        )
    anchors = AnchorGenerator(
        sizes=rpn.anchor_sizes,
        aspect_ratios=rpn.aspect_ratios,
        strides=(*strides, 2 * strides[-1]),
        offset=rpn.anchor_offset,
        rounded=rpn.anchor_rounded,
        fit_strides=rpn.anchor_fit_strides,
    )
    return FasterRCNN(
        backbone=features,
        neck=FeaturePyramid(levels, config.fpn_filters, config.fpn_norm, name="fpn"),
        rpn=RegionProposalNetwork(
            anchors,
            name="rpn",
            **rpn.model_dump(exclude=_ANCHOR_KEYS),
        ),
        roi_heads=RoIHeads(
            num_classes=len(categories),
            strides=strides,
            min_level=first,
            name="roi_heads",
            **config.roi_heads.model_dump(),
        ),
        categories=categories,
        pixel_mean=config.pixel_mean,
        pixel_std=config.pixel_std,
        preprocessing=preprocessing,
        architecture=config.model_dump(mode="json"),
        seed=seed,
        name="faster_rcnn",
    )


def build_backbone(config):
    """The classification backbone of a `BackboneConfig`, without its top."""
    shared = {
        "include_top": False,
        "input_shape": (None, None, 3),
        "stride_in": config.stride_in,
        "norm": config.norm
        if config.norm_epsilon is None
        else {"kind": config.norm, "epsilon": config.norm_epsilon},
        "stem": config.stem if isinstance(config.stem, str) else config.stem.model_dump(),
        "zero_init_residual": config.zero_init_residual,
    }
    if config.depth is not None:
        factory = getattr(keras_resnet, f"ResNet{config.depth}")
        return factory(weights=config.weights, **shared)
    return keras_resnet.ResNet(
        stage_blocks=config.stage_blocks,
        block=config.block,
        width=config.width,
        name="resnet",
        **shared,
    )
