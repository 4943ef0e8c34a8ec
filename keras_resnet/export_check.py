"""Comparison of an exported network with the one it comes from."""

import numpy as np

# Of probabilities; of other outputs, relative to the greatest. 16 bits hold 8 binary digits, and
# the roundings of fifty layers add up.
TOLERANCES = {"float32": 1e-3, "bfloat16": 0.1}


def choose_tolerance(dtype, tolerance=None):
    """The greatest difference that is no error, by the dtype of the export unless given."""
    if dtype not in TOLERANCES:
        raise ValueError(
            f"`dtype` must be one of {', '.join(map(repr, TOLERANCES))}. Received: dtype={dtype!r}"
        )
    if tolerance is None:
        return TOLERANCES[dtype]
    if not tolerance > 0:
        raise ValueError(f"`tolerance` must be above 0. Received: tolerance={tolerance}")
    return tolerance


def compare_outputs(expected, served):
    """Differences of the outputs of a network, relative to the greatest absolute value.

    Args:
        expected, served: dicts from name to float array.

    Returns:
        dict for JSON: `max_relative_difference`, of all outputs; infinite for outputs that are
        not finite where the expected ones are.
    """
    worst = 0.0
    for name, value in expected.items():
        scale = max(float(np.abs(value).max(initial=0.0)), 1e-12)
        worst = max(worst, _greatest(np.abs(served[name] - value)) / scale)
    return {"max_relative_difference": worst}


def compare_classes(expected, served):
    """Differences of the answers of a classifier.

    Args:
        expected, served: float arrays `[N, classes]`, probabilities.

    Returns:
        dict for JSON: `max_probability_difference`; `max_logit_difference`, of the logarithms of
        probabilities above 1e-4, which are logits but for a constant; and `top1_agreement`, the
        share of images whose most probable class is the same.
    """
    likely = expected > 1e-4
    with np.errstate(divide="ignore"):
        logits = np.abs(np.log(served[likely]) - np.log(expected[likely]))
    same = served.argmax(axis=-1) == expected.argmax(axis=-1)
    return {
        "max_probability_difference": _greatest(np.abs(served - expected)),
        "max_logit_difference": _greatest(logits),
        "top1_agreement": float(same.mean()),
    }


def check_difference(difference, tolerance, what):
    """Refuses a difference above the tolerance.

    Raises:
        ValueError: it is above.
    """
    if not difference <= tolerance:
        raise ValueError(
            "The exported model does not answer as the model does, so it was not published: "
            f"{what} differs by {difference:.3g}, more than {tolerance:g}. In 16 bits some models "
            "are less exact than others: look at the difference, and if it is acceptable, pass a "
            f"greater `tolerance`. Received: tolerance={tolerance:g}"
        )


def _greatest(differences):
    """The maximum; infinite if one is no number."""
    worst = float(np.max(differences, initial=0.0))
    return worst if np.isfinite(worst) else float("inf")
