"""Feature maps of a network by name, and freezing."""

import re
from collections.abc import Sequence

import keras

from keras_resnet.normalization import BatchNormalization
from keras_resnet.stem import Stem

_STAGE = re.compile(r"stage(\d+)_block(\d+)")


def feature_info(backbone: keras.Model) -> dict[str, dict[str, int]]:
    """Return channels and stride of every feature map of a network.

    Args:
        backbone: a `ResNet`, or a `keras.Model` built on one's layers.

    Returns:
        Dict from name ("C2", "C3", …) to `{"channels": int, "stride": int}`, finest first.

    Example:

    >>> keras_resnet.feature_info(keras_resnet.ResNet18(include_top=False))["C3"]
    {'channels': 128, 'stride': 8}
    """
    names = {layer.name: name for name, layer in _feature_layers(backbone).items()}
    stride = 1
    info = {}
    for layer in backbone.layers:
        if isinstance(layer, Stem):
            stride *= layer.total_stride
        elif _STAGE.fullmatch(layer.name):
            stride *= layer.stride
            channels = layer.filters * layer.expansion
        if layer.name in names:
            info[names[layer.name]] = {"channels": channels, "stride": stride}
    return info


def _feature_layers(backbone):
    """Return `last_layers(backbone)`, or refuse a model without a network in it."""
    last = last_layers(backbone)
    if not last:
        raise ValueError(
            "The model has no layers of a network of keras_resnet, or has it in a nested model; "
            f"pass that network itself. Received: a model {backbone.name!r} of layers "
            f"{', '.join(layer.name for layer in backbone.layers[:5])}, …"
        )
    return last


def feature_extractor(
    backbone: keras.Model, names: str | Sequence[str] = ("C2", "C3", "C4", "C5")
) -> keras.Model:
    """Create the model that maps images to the named feature maps of a network.

    "Ck" is the output of stage k (conv2_x … conv5_x in table 1 of the paper); where the last block
    of a stage halves the image (`ResNet50V2`), the output before that block; and at the end of a
    pre-activation network what its last norm and ReLU put out. A stage whose only block halves the
    image has none. The new model shares the layers and weights of `backbone`; layers after the
    last feature map are left out.

    Args:
        backbone: a `ResNet`, or a `keras.Model` built on one's layers.
        names: tuple of names among those of `feature_info(backbone)`, or one name.

    Returns:
        `keras.Model` from images `[B, H, W, 3]` to a dict from name to feature map.

    Raises:
        ValueError: for an empty `names` or a name that the network does not have, and for a model
            without a network in it.

    Example:

    >>> backbone = keras_resnet.ResNet18(include_top=False)
    >>> features = keras_resnet.feature_extractor(backbone, ("C4", "C5"))
    >>> tuple(features(np.zeros((1, 64, 64, 3), "float32"))["C4"].shape)
    (1, 4, 4, 256)
    """
    last = _feature_layers(backbone)
    names = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in names if name not in last]
    if unknown or not names:
        raise ValueError(
            f"The feature maps of {backbone.name!r} are {', '.join(last)}; name at least one of "
            "them (a stage whose only block halves the image has none; build with "
            f"stride_at='first'). Received: names={names}"
        )
    outputs = {name: last[name].output for name in names}
    return keras.Model(backbone.input, outputs, name=f"{backbone.name}_features")


def freeze(model: keras.Model, up_to: str | None = "C2", norms: bool = True) -> keras.Model:
    """Freeze the first layers of a network, and its batch norms, for fine-tuning.

    Frozen norms normalize by their moving statistics, which stay as they are. Compile the model
    after this call; a model compiled before keeps training what it trained.

    Args:
        model: a `ResNet`, or any model that contains the layers of one, also in a nested model.
        up_to: the last frozen part: `"stem"`, `"C2"` (stem and stage 2), `"C3"`, …, or None for
            no part.
        norms: bool, freeze every batch norm of the whole model.

    Returns:
        `model`.

    Raises:
        ValueError: if the model has no part of that name, or no network in it.

    Example:

    >>> model = keras_resnet.freeze(keras_resnet.ResNet18(), up_to="stem", norms=False)
    >>> model.get_layer("stem").trainable
    False
    """
    parts, after = {}, []
    for layer in model._flatten_layers(include_self=False):
        match = _STAGE.fullmatch(layer.name)
        if isinstance(layer, Stem):
            parts.setdefault("stem", []).append(layer)
        elif match:
            parts.setdefault(f"C{match[1]}", []).append(layer)
        elif layer.name == "post_norm":
            after.append(layer)
    if not parts:
        raise ValueError(
            "The model contains no network of keras_resnet to freeze. "
            f"Received: model={model.name!r}"
        )
    if after:
        parts[max(name for name in parts if name != "stem")] += after
    if up_to is not None:
        if up_to not in parts:
            raise ValueError(
                f"`up_to` must be None or one of {', '.join(map(repr, parts))}. "
                f"Received: up_to={up_to!r}"
            )
        names = sorted(parts, key=lambda name: (name != "stem", name))
        for name in names[: names.index(up_to) + 1]:
            for layer in parts[name]:
                layer.trainable = False
    if norms:
        for layer in model._flatten_layers(include_self=False):
            if isinstance(layer, BatchNormalization):
                layer.trainable = False
    return model


def last_layers(model):
    """Return the last layer of each stage by the name of its feature map."""
    stages, end = {}, None
    for layer in model.layers:
        if match := _STAGE.fullmatch(layer.name):
            stages.setdefault(f"C{match[1]}", []).append(layer)
        elif layer.name == "post_relu":
            end = layer
    if not stages:
        return {}
    if any(block.stride > 1 for block in next(iter(stages.values()))):
        # Every stage strides at its end, so what belongs to it comes before that.
        stages = {name: [b for b in blocks if b.stride == 1] for name, blocks in stages.items()}
    last = {name: blocks[-1] for name, blocks in stages.items() if blocks}
    if end is not None:
        last[next(reversed(stages))] = end
    return last
