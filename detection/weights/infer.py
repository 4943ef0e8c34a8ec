"""The detector that tensors under torchvision's names belong to."""

import re

from detection.model_config import ModelConfig
from detection.weights.state import BODY
from keras_resnet.training.config_words import validated
from keras_resnet.variants import IMAGENET_NETWORKS
from keras_resnet.weights.infer import arguments_of

# What torchvision does with every such detector, and its tensors do not show.
_RPN = {
    "anchor_rounded": True,
    "anchor_fit_strides": True,
    "pre_nms": (2000, 1000),
    "post_nms": (2000, 1000),
    "min_size": 1e-3,
    "beta": 1 / 9,
    "normalize_by": "sampled",
}
_ROI_HEADS = {
    "aligned": False,
    "sampling_ratio": 2,
    "level_epsilon": 1e-6,
    "beta": 1 / 9,
    "min_size": 1e-2,
}
PREPROCESSING = {"min_side": 800, "max_side": 1333, "size_divisor": 32, "rounding": "floor"}
# torchvision trains the last three stages of pretrained networks.
FREEZE = "C2"
_POOL_SIZE = 7
_FPN = "backbone.fpn.inner_blocks."
_HEAD = "roi_heads.box_head."


def config_of(state, norm=None, norm_epsilon=None):
    """Return the configuration of a torchvision detector.

    Args:
        state: a `State`.
        norm: `"batch"` or `"frozen"`, the norms of the backbone; None for those of `state`.
        norm_epsilon: float, what these add to the variance; None for that of `state`.

    Returns:
        `(ModelConfig, int)`: the configuration and torchvision's number of classes, which counts
        the background.

    Raises:
        ValueError: if the tensors are not those of a Faster R-CNN with a pyramid on a ResNet.
    """
    shapes = {name: array.shape for name, array in state.arrays.items()}
    scores = shapes.get("roi_heads.box_predictor.cls_score.weight")
    laterals = _numbered(shapes, rf"{re.escape(_FPN)}(\d+)\.0\.weight")
    if scores is None or not laterals or f"{BODY}conv1.weight" not in shapes:
        raise ValueError(
            f"The tensors of {state.source} are not those of a Faster R-CNN of torchvision with a "
            f"pyramid on a ResNet. Received: tensors {', '.join(list(shapes)[:5])}, …"
        )
    anchors = shapes.get("rpn.head.cls_logits.weight", (3,))[0]
    if anchors != 3:
        raise ValueError(
            "Only detectors with torchvision's default anchors can be read: one size a level, "
            f"three ratios. Received: {anchors} anchors a location in {state.source}"
        )
    body = {
        name.removeprefix(BODY): shape for name, shape in shapes.items() if name.startswith(BODY)
    }
    backbone, levels = _backbone(arguments_of(body, {}), [laterals[i][1] for i in sorted(laterals)])
    values = {
        "backbone": {
            **backbone,
            "levels": levels,
            "norm": norm or state.norm,
            "norm_epsilon": state.norm_epsilon if norm_epsilon is None else norm_epsilon,
            "freeze": FREEZE,
        },
        "fpn_filters": laterals[0][0],
        "fpn_norm": _norm(shapes, f"{_FPN}0.1"),
        "rpn": {
            **_RPN,
            "anchor_sizes": tuple((32 * 2**i,) for i in range(len(levels) + 1)),
            "conv_depth": len(_numbered(shapes, r"rpn\.head\.conv\.(\d+)\.0\.weight")) or 1,
        },
        "roi_heads": {**_ROI_HEADS, **_box_head(shapes)},
    }
    config = validated(ModelConfig, values, f"{state.source} holds no detector that can be built")
    return config, scores[0]


def _backbone(arguments, channels):
    """Keys of `BackboneConfig`, and the levels whose channels these are."""
    stage_blocks, block = arguments["stage_blocks"], arguments["block"]
    width = arguments["width"]
    out = width * (4 if block == "bottleneck" else 1)
    levels = tuple(f"C{2 + (c // out).bit_length() - 1}" for c in channels)
    for depth in (18, 34, 50, 101, 152):
        row = IMAGENET_NETWORKS[f"ResNet{depth}"]
        if (row["stage_blocks"], row["block"], width) == (stage_blocks, block, 64):
            return {"depth": depth}, levels
    return {"stage_blocks": stage_blocks, "block": block, "width": width}, levels


def _box_head(shapes):
    convolutions = _numbered(shapes, rf"{re.escape(_HEAD)}(\d+)\.0\.weight")
    dense = _numbered(shapes, rf"{re.escape(_HEAD)}(?:fc)?(\d+)\.weight")
    if not dense:
        raise ValueError("The box head has no fully connected layer. Received: no such tensor")
    head = {"hidden": tuple(dense[i][0] for i in sorted(dense)), "pool_size": _POOL_SIZE}
    if convolutions:
        head["convolutions"] = tuple(convolutions[i][0] for i in sorted(convolutions))
        head["head_norm"] = _norm(shapes, f"{_HEAD}0.1")
    return head


def _numbered(shapes, pattern):
    """Shapes by the number in their name."""
    found = ((re.fullmatch(pattern, name), shape) for name, shape in shapes.items())
    return {int(match[1]): shape for match, shape in found if match}


def _norm(shapes, name):
    return "batch" if f"{name}.running_mean" in shapes else None
