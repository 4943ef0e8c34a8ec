"""Test errors on CIFAR-10 in per cent that are published, to stand beside ours."""

SOURCE = "He et al. 2015, arXiv:1512.03385, table 6"

# (kind, depth): best run, or best run (mean ± standard deviation)
PAPER = {
    ("residual", 20): "8.75",
    ("residual", 32): "7.51",
    ("residual", 44): "7.17",
    ("residual", 56): "6.97",
    ("residual", 110): "6.43 (6.61 ± 0.16)",
    ("residual", 1202): "7.93",
    ("plain", 110): "> 60",
}

# Networks of others in the same table: (network, millions of parameters, test error)
OTHERS = (
    ("Highway-19", 2.3, "7.54 (7.72 ± 0.16)"),
    ("Highway-32", 1.25, "8.80"),
)


def published(run):
    """What the paper reports for a network, which it trained with option A and no remedy.

    Args:
        run: a `Run`.

    Returns:
        str, empty if it reports nothing.

    Example:
    >>> from keras_resnet.experiments.grid import Run
    >>> published(Run("residual", 110, "zero_pad", 0))
    '6.43 (6.61 ± 0.16)'
    """
    if run.remedy is not None or run.shortcut not in (None, "zero_pad"):
        return ""
    return PAPER.get((run.kind, run.depth), "")
