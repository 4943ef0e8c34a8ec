"""What makes a network compute something else with tensors of the same names and shapes."""

# Arguments of the blocks. Whatever else a network's arguments change shows in its tensors, or, as
# the dropout of blocks, belongs to training.
_OPTIONS = ("stride_in", "shortcut")


def variant_of(model):
    """Return the arguments of a network that its tensors do not show.

    Args:
        model: a `ResNet`, or a `keras.Model` built on one's layers.

    Returns:
        Dict from argument to value, for example `{"stride_in": "3x3", "shortcut": "projection"}`.
    """
    variant = {}
    for layer in model.layers:
        if layer.name.startswith("stage"):
            config = layer.get_config()
            variant |= {option: config[option] for option in _OPTIONS if option in config}
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
        f"variant: the weights were made with {option}={variant[option]!r}, the model has "
        f"{option}={value!r}"
        for option, value in variant_of(model).items()
        if option in variant and variant[option] != value
    ]
