"""The network that tensors under torchvision's names belong to."""

import re


def arguments_of(shapes, variant):
    """Return the arguments of `ResNet` for which tensors of these names and shapes fit.

    Args:
        shapes: dict from torchvision's or timm's name to shape in torch's layout.
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
    stem, options = _stem(shapes)
    places = {match.groups() for name in shapes if (match := re.match(r"layer(\d+)\.(\d+)", name))}
    stages = sorted({int(stage) for stage, _ in places})
    if stem is None or not stages or stages != list(range(1, len(stages) + 1)):
        raise ValueError(
            "The tensors are not those of a ResNet of torchvision or timm with a stem of one 7x7 "
            "or three 3x3 convolutions; name the architecture. Received: tensors "
            f"{', '.join(list(shapes)[:5])}, …"
        )
    if "layer1.0.bn1.running_mean" not in shapes:
        raise ValueError(
            "The tensors are those of a network without batch norm, whose arguments they do not "
            "show; load them into a network made with `norm=...`."
        )
    options |= {
        "stage_blocks": tuple(sum(int(s) == stage for s, _ in places) for stage in stages),
        "block": "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic",
        "input_shape": (None, None, stem[1]),
        "data_format": "channels_last",
        "include_top": "fc.weight" in shapes,
    }
    if any(re.search(r"downsample\.2\.running_mean$", name) for name in shapes):
        options["shortcut"] = "avg_pool"  # timm counts the pooling before the convolution
    if "layer1.0.se.fc1.weight" in shapes:
        hidden, channels = shapes["layer1.0.se.fc1.weight"][:2]
        options["squeeze_excitation"] = channels // hidden
    if options["include_top"]:
        options["classes"] = shapes["fc.weight"][0]
    shown = ("stride_in", "stride_at", "shortcut")
    return {**options, **{key: variant[key] for key in shown if key in variant}}


def _stem(shapes):
    """Return (shape of the first kernel, arguments of the stem), (None, {}) for unknown stems."""
    one, first, last = (shapes.get(f"conv1{place}.weight") for place in ("", ".0", ".6"))
    if one is not None and one[-1] == 7:
        return one, {"width": one[0]}
    if first is not None and last is not None and first[-1] == 3 and 2 * first[0] == last[0]:
        return first, {"width": last[0], "stem": "deep"}
    return None, {}
