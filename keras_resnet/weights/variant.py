"""What makes a network compute something else with tensors of the same names and shapes."""

import math
import warnings

from keras_resnet.normalization import default_options, standardizes_weights
from keras_resnet.shortcuts import parse_shortcut

# What torchvision's and timm's ResNets are, and so their files that say nothing.
TORCHVISION = {
    "stride_in": "3x3",
    "stride_at": "first",
    "weight_standardization": False,
    "epsilon": 1e-5,
}


def variant_of(model):
    """Return the arguments of a network that its tensors do not show.

    Whatever else a network's arguments change shows in its tensors, belongs to training, as the
    dropout of blocks, or may be chosen anew for trained weights, as the strides of the stem and
    `output_stride`.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.

    Returns:
        Dict from argument to value, for example `{"stride_in": "3x3", "shortcut": "projection"}`.
    """
    arguments = {}
    for layer in model.layers:
        if layer.name.startswith("stage"):
            arguments |= layer.get_config()
    # Only the network as a whole knows which block of a stage strides.
    return variant_in({**arguments, **getattr(model, "architecture", {})}, "stride_in" in arguments)


def variant_in(arguments, bottleneck=True):
    """Return what of a dict of arguments of `ResNet` its tensors do not show.

    Args:
        arguments: dict; arguments of no concern and lacking ones are passed over.
        bottleneck: bool, the blocks have a choice of `stride_in`.
    """
    variant = {}
    if bottleneck and "stride_in" in arguments:
        variant["stride_in"] = arguments["stride_in"]
    if "stride_at" in arguments:
        variant["stride_at"] = arguments["stride_at"]
    if "shortcut" in arguments:
        shortcut = arguments["shortcut"]
        _, options = parse_shortcut(shortcut)
        kind = shortcut["kind"] if isinstance(shortcut, dict) else shortcut
        options.pop("gate_bias", None)  # a value to start from
        variant["shortcut"] = {"kind": kind, **options} if options else kind
    if "norm" in arguments:
        variant["weight_standardization"] = standardizes_weights(arguments["norm"])
        options = default_options(arguments["norm"])
        variant |= {key: options[key] for key in ("epsilon", "groups") if key in options}
    return variant


def architecture_of(model):
    """Return the arguments that build a network anew, as JSON can hold them.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.

    Returns:
        Dict of arguments of `ResNet`; empty for other models, which do not know theirs. The dtype
        is left out, and an activation that is no name.
    """
    if not hasattr(model, "architecture"):
        return {}
    config = model.get_config()
    kept = {key: config[key] for key in (*model.architecture, "input_shape") if key != "dtype"}
    if not isinstance(kept["classifier_activation"], (str, type(None))):
        del kept["classifier_activation"]
    return kept


def differences(model, variant):
    """Describe how the variant of some weights differs from that of a model.

    Args:
        model: as in `variant_of`.
        variant: dict of what is known of the weights.

    Returns:
        List of str, a line per argument.
    """
    return [
        f"variant: the weights were made with {argument}={variant[argument]!r}, the model has "
        f"{argument}={value!r}"
        for argument, value in variant_of(model).items()
        if argument in variant and not _equal(variant[argument], value)
    ]


def warn_unless_torchvision(model, source):
    """Warn if a model is no variant of torchvision's, whose weights do not say what they are.

    Args:
        model: as in `variant_of`.
        source: str, what the weights come from.
    """
    others = [
        f"{argument}={value!r} (torchvision: {TORCHVISION[argument]!r})"
        for argument, value in variant_of(model).items()
        if argument in TORCHVISION and not _equal(TORCHVISION[argument], value)
    ]
    if others:
        warnings.warn(
            f"{source} has torchvision's names and does not say for which variant its weights "
            f"are. They fit this model, but if they are torchvision's or timm's, it computes "
            f"something else with them: it was built with {', '.join(others)}.",
            stacklevel=4,
        )


def _equal(one, other):
    # Epsilons of 0 to 2e-5 are one: published networks have them all.
    is_number = isinstance(one, float) and isinstance(other, float)
    return math.isclose(one, other, abs_tol=2e-5) if is_number else one == other
