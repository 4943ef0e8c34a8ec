"""Builds a detector from its configuration."""

from collections.abc import Sequence
from typing import Any

from detection.anchors import AnchorGenerator
from detection.backbones import build_body
from detection.box_losses import BoxLoss
from detection.box_predictor import BoxPredictor
from detection.cascade import CascadeRoIHeads
from detection.faster_rcnn import FasterRCNN
from detection.model_config import ModelConfig
from detection.poolers import RoIPooler
from detection.region_sampling import RegionSampling
from detection.roi_heads import RoIHeads
from detection.rpn import RegionProposalNetwork
from detection.selection import DetectionSelection


def build_model(
    config: ModelConfig,
    categories: Sequence[dict[str, Any]],
    preprocessing: dict[str, Any] | None = None,
    seed: int = 0,
) -> FasterRCNN:
    """Builds a Faster R-CNN.

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
    body = build_body(config)
    return FasterRCNN(
        backbone=body.backbone,
        neck=body.neck,
        rpn=_build_rpn(config.rpn, body),
        roi_heads=_build_roi_heads(config.roi_heads, body, len(categories)),
        categories=categories,
        pixel_mean=config.pixel_mean,
        pixel_std=config.pixel_std,
        preprocessing=preprocessing,
        architecture=config.model_dump(mode="json"),
        seed=seed,
        name="faster_rcnn",
    )


def _build_rpn(config, body):
    if len(config.anchor_sizes) != len(body.anchor_strides):
        raise ValueError(
            "`model.rpn.anchor_sizes` needs one entry for each level of the anchors, which have "
            f"{', '.join(map(str, body.anchor_strides))} pixels between them. "
            f"Received: {config.anchor_sizes}"
        )
    anchors = AnchorGenerator(
        sizes=config.anchor_sizes,
        aspect_ratios=config.aspect_ratios,
        strides=body.anchor_strides,
        offset=config.anchor_offset,
        rounded=config.anchor_rounded,
        fit_strides=config.anchor_fit_strides,
    )
    of_anchors = {name for name in type(config).model_fields if name.startswith("anchor_")}
    options = config.model_dump(exclude={"aspect_ratios", *of_anchors})
    return RegionProposalNetwork(anchors, name="rpn", **options)


def _build_roi_heads(config, body, num_classes):
    cascade = config.cascade
    positive_iou = config.positive_iou if cascade is None else cascade.ious[0]
    parts = {
        "pooler": RoIPooler(
            strides=body.strides,
            method=config.pooling,
            size=config.pool_size,
            sampling_ratio=config.sampling_ratio,
            max_samples=config.max_samples,
            aligned=config.aligned,
            canonical_size=config.canonical_size,
            canonical_level=config.canonical_level,
            min_level=body.first_level,
            level_epsilon=config.level_epsilon,
        ),
        "selection": DetectionSelection(
            score_threshold=config.score_threshold,
            nms_threshold=config.nms_threshold,
            max_detections=config.max_detections,
            min_size=config.min_size,
            soft_nms=config.soft_nms and config.soft_nms.model_dump(),
            voting_iou=config.voting_iou,
        ),
        "sampling": RegionSampling(config.samples, config.positive_fraction, positive_iou),
    }

    def predictor(name, box_weights):
        return BoxPredictor(
            num_classes,
            box_weights,
            config.class_agnostic,
            BoxLoss(config.box_loss, config.beta, config.box_loss_weight),
            name=name,
        )

    if cascade is not None:
        weights = enumerate(cascade.box_weights, start=1)
        return CascadeRoIHeads(
            box_heads=[body.box_heads(f"box_head_{i + 1}") for i in range(len(cascade.ious))],
            predictors=[predictor(f"predictor_{i}", values) for i, values in weights],
            ious=cascade.ious,
            name="roi_heads",
            **parts,
        )
    return RoIHeads(
        box_head=body.box_heads("box_head"),
        predictor=predictor("predictor", config.box_weights),
        refinements=config.refinements,
        context=config.context,
        name="roi_heads",
        **parts,
    )
