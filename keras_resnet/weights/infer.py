"""The network that tensors under torchvision's names belong to."""

import re


def arguments_of(shapes, variant):
    """Return the arguments of `ResNet` for which tensors of these names and shapes fit.

    Args:
        shapes: dict from torchvision's name to shape in torch's layout.
        variant: dict of arguments that the tensors do not show, as far as they are known.

    Returns:
        Dict.

    Raises:
        ValueError: if the tensors are not those of a network of torchvision's family.

    Example:

    >>> shapes = {"conv1.weight": (64, 3, 7, 7), "layer1.0.bn1.running_mean": (64,)}
    >>> arguments_of(shapes, {})["block"]
    'basic'
    """
    stem = shapes.get("conv1.weight")
    places = {match.groups() for name in shapes if (match := re.match(r"layer(\d+)\.(\d+)", name))}
    stages = sorted({int(stage) for stage, _ in places})
    if stem is None or stem[-1] != 7 or not stages or stages != list(range(1, len(stages) + 1)):
        raise ValueError(
            "The tensors are not those of a ResNet of torchvision with a stem of one 7x7 "
            "convolution; name the architecture. Received: tensors "
            f"{', '.join(list(shapes)[:5])}, …"
        )
    if "layer1.0.bn1.running_mean" not in shapes:
        raise ValueError(
            "The tensors are those of a network without batch norm, whose arguments they do not "
            "show; load them into a network made with `norm=...`."
        )
    options = {
        "stage_blocks": tuple(sum(int(s) == stage for s, _ in places) for stage in stages),
        "block": "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic",
        "width": stem[0],
        "input_shape": (None, None, stem[1]),
        "data_format": "channels_last",
        "include_top": "fc.weight" in shapes,
    }
    if options["include_top"]:
        options["classes"] = shapes["fc.weight"][0]
    shown = ("stride_in", "stride_at", "shortcut")
    return {**options, **{key: variant[key] for key in shown if key in variant}}
