"""What of a `keras_resnet` network a detector is built on, by architecture."""

import dataclasses

import keras
import numpy as np

import keras_resnet
from detection.box_heads import ConvFCHead, StageHead
from detection.fpn import FeaturePyramid
from detection.single_level import SingleLevel
from detection.weights.backbone import load_backbone
from keras_resnet.features import last_layers
from keras_resnet.preprocessing import STYLES
from keras_resnet.stem import make_stem
from keras_resnet.variants import IMAGENET_NETWORKS

_CAFFE_MEAN = (123.68, 116.779, 103.939)  # red first; these weights see no standard deviation


@dataclasses.dataclass
class Body:
    """The network under the two stages of a detector.

    Attributes:
        backbone: model from images to a dict of feature maps by name.
        neck: layer from that dict to a list of levels.
        strides: pixels per cell of the levels that regions are pooled from, which come first.
        anchor_strides: pixels per cell of all levels.
        first_level: number of the first level, e.g. 2 for P2.
        box_heads: function of a name to a layer for pooled regions.
    """

    backbone: keras.Model
    neck: keras.layers.Layer
    strides: tuple
    anchor_strides: tuple
    first_level: int
    box_heads: object


def build_body(config):
    """The body that a `ModelConfig` describes, with the frozen parts frozen."""
    body = ARCHITECTURES[config.architecture](config)
    fit_pixels(body.backbone.get_layer("stem"), config.pixel_mean, config.pixel_std)
    return body


def fit_pixels(stem, mean, std):
    """Makes sure that loaded weights get the pixels they were trained with.

    Those trained on BGR images, as the first ResNets of keras.applications, are turned to RGB.

    Args:
        stem: the layer `"stem"` of a network; its `preprocessing` says what the weights expect.
        mean: three floats, what is subtracted from RGB values of 0..255.
        std: three floats, what these are then divided by.

    Raises:
        ValueError: the weights expect another mean or standard deviation.
    """
    style = stem.preprocessing
    if style is None:
        return
    expected = [np.multiply(255, values) for values in STYLES[style] or ()]
    if style == "caffe":
        expected = [np.array(_CAFFE_MEAN), np.ones(3)]
    if not np.allclose([mean, std], expected, rtol=1e-3):
        values = [", ".join(f"{v:.6g}" for v in row) for row in expected]
        raise ValueError(
            f"The backbone's weights were trained with other pixels: set `model.pixel_mean` to "
            f"[{values[0]}] and `model.pixel_std` to [{values[1]}]. Received: "
            f"pixel_mean={list(mean)}, pixel_std={list(std)}"
        )
    if style == "caffe":
        kernel = stem.conv.kernel
        kernel.assign(np.asarray(kernel)[:, :, ::-1])
        stem.preprocessing = None  # of RGB there is no such style


def _pyramid(config):
    """Every level of the backbone, merged from coarse to fine, and one more."""
    levels = config.backbone.levels
    network = build_backbone(config.backbone)
    strides = _strides(network, levels)
    return Body(
        backbone=keras_resnet.feature_extractor(network, levels),
        neck=FeaturePyramid(levels, config.fpn_filters, config.fpn_norm, name="fpn"),
        strides=strides,
        anchor_strides=(*strides, 2 * strides[-1]),
        first_level=int(levels[0][1:]),
        box_heads=_dense_heads(config),
    )


def _before_last_stage(config):
    """The stages but the last, which every region goes through by itself."""
    (level,) = config.backbone.levels
    network = build_backbone(config.backbone)
    layers = list(network.layers)
    rest = layers[layers.index(last_layers(network)[level]) + 1 :]
    return _single(config, network, level, lambda name: StageHead(rest, name=name))


def _dilated(config):
    """All stages, of which the last dilates its convolutions instead of halving the image."""
    (level,) = config.backbone.levels
    stride = total_stride(config.backbone) * 2 ** (len(config.backbone.blocks_per_stage) - 2)
    network = build_backbone(config.backbone, output_stride=stride)
    return _single(config, network, level, _dense_heads(config))


# How a detector sits on a network, by the name in the configuration.
ARCHITECTURES = {"fpn": _pyramid, "c4": _before_last_stage, "dc5": _dilated}


def _single(config, network, level, box_heads):
    strides = _strides(network, (level,))
    return Body(
        backbone=keras_resnet.feature_extractor(network, (level,)),
        neck=SingleLevel(level, name="single_level"),
        strides=strides,
        anchor_strides=strides,
        first_level=int(level[1:]),
        box_heads=box_heads,
    )


def _dense_heads(config):
    heads = config.roi_heads
    return lambda name: ConvFCHead(heads.convolutions, heads.hidden, heads.head_norm, name=name)


def _strides(network, levels):
    info = keras_resnet.feature_info(network)
    unknown = [level for level in levels if level not in info]
    if unknown:
        raise ValueError(
            f"The backbone has the feature maps {', '.join(info)}. Received: levels={list(levels)}"
        )
    return tuple(info[level]["stride"] for level in levels)


def build_backbone(config, **options):
    """The classification network of a `BackboneConfig`, without its top.

    Args:
        config: a `BackboneConfig`.
        **options: more arguments of `keras_resnet.ResNet`.

    Returns:
        `keras_resnet.ResNet`, frozen as `config.freeze` says.
    """
    options = {
        "include_top": False,
        "input_shape": (None, None, 3),
        "stride_in": config.stride_in,
        "zero_init_residual": config.zero_init_residual,
        "norm": _norm(config),
        **options,
    }
    if config.stem is not None:
        options["stem"] = _stem(config)
    if config.depth is None:
        network = keras_resnet.ResNet(
            stage_blocks=config.stage_blocks,
            block=config.block,
            width=config.width,
            name="resnet",
            **options,
        )
    else:
        factory = getattr(keras_resnet, config.network)
        network = factory(**options)
        if config.weights is not None:
            load_backbone(network, config.weights)
    if config.freeze is not None:
        keras_resnet.freeze(network, up_to=config.freeze, norms=False)
    return network


def _norm(config):
    # Published weights bring the epsilon that they were trained with.
    published = config.depth is not None and config.norm != "group"
    options = IMAGENET_NETWORKS[config.network].get("norm", {}) if published else {}
    epsilon = {} if config.norm_epsilon is None else {"epsilon": config.norm_epsilon}
    return {**options, "kind": config.norm, **epsilon}


def total_stride(config):
    """By how much the stem of a `BackboneConfig` reduces the image."""
    published = IMAGENET_NETWORKS.get(config.network, {})
    stem = _stem(config) or published.get("stem", "imagenet")
    return make_stem(stem, config.width, "batch").total_stride


def _stem(config):
    named = config.stem is None or isinstance(config.stem, str)
    return config.stem if named else config.stem.model_dump()
