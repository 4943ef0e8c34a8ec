"""What makes a network compute something else with tensors of the same names and shapes."""

from keras_resnet.normalization import standardizes_weights
from keras_resnet.shortcuts import parse_shortcut


def variant_of(model):
    """Return the arguments of a network that its tensors do not show.

    Whatever else a network's arguments change shows in its tensors or, as the dropout of blocks,
    belongs to training.

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
    return variant


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
        if argument in variant and variant[argument] != value
    ]
