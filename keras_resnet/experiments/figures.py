"""Figures 6 and 7 of the paper from our runs, and the gradients of the layers."""

import numpy as np

from keras_resnet.analysis.figures import DARK, finish, new_figure
from keras_resnet.experiments.summary import family, label

# Okabe and Ito's palette, told apart by colour-blind people, nearly in the paper's order.
_COLORS = {20: "#E69F00", 32: "#56B4E9", 44: "#009E73", 56: "#D55E00", 110: "#000000"}
_OTHERS = ("#CC79A7", "#0072B2", "#7F7F7F", "#8C564B")
_LINES = {"plain": (0, (4, 1.5)), "residual": "solid", "highway": (0, (1, 1.2))}


def draw_curves(summaries, path):
    """Draws training (dashed) and test error (bold) over the steps, a panel a kind of net.

    Args:
        summaries: list of `Summary`.
        path: path of the picture.

    Returns:
        The matplotlib figure. Lines are means over the seeds; the band is from the smallest to
        the largest test error.
    """
    panels = _families(summaries)
    figure, axes = new_figure(1, len(panels), (1.2 + 4.2 * len(panels), 4.2))
    steps = max(s.first("steps") for s in summaries)
    power = int(np.floor(np.log10(steps)))
    for axis, (name, nets) in zip(axes.flat, panels.items()):
        axis.set_title(name, fontsize=11)
        for s in nets:
            _draw_net(axis, s, _color(s.run.depth, summaries), 10**power)
        axis.set_xlabel(f"step (1e{power})")
        axis.set_xlim(0, steps / 10**power)
        axis.set_ylim(0, _top(summaries))
        if axis.lines:
            axis.legend(frameon=False, fontsize=9, loc="upper right")
    axes[0, 0].set_ylabel("error (%)")
    from matplotlib.lines import Line2D

    styles = [
        Line2D([], [], color=DARK, linewidth=2.2, label="test error"),
        Line2D([], [], color=DARK, linewidth=1.0, linestyle="--", label="training error"),
    ]
    figure.legend(handles=styles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return finish(figure, path)


def draw_responses(summaries, path):
    """Draws the standard deviations of the layers' responses, in order and sorted.

    Args:
        summaries: list of `Summary`.
        path: path of the picture.

    Returns:
        The matplotlib figure. Lines are means over the seeds.
    """
    figure, axes = new_figure(2, 1, (8.5, 6.5))
    in_order, by_size = axes.flat
    for s in summaries:
        if not s.finished:
            continue
        stds = _mean([r["responses"]["stds"] for r in s.finished])
        style = _style(s, summaries)
        positions = np.arange(1, len(stds) + 1)
        in_order.plot(positions, stds, label=label(s.run), **style)
        by_size.plot(positions, np.sort(stds)[::-1], **style)
    for axis, text in ((in_order, "layer, in order"), (by_size, "layer, sorted by response")):
        axis.set_xlabel(text)
        axis.set_ylabel("standard deviation")
        axis.set_ylim(bottom=0)
        axis.set_xlim(left=0)
        axis.xaxis.get_major_locator().set_params(integer=True)
    in_order.set_title("Responses of the 3x3 layers, after their norm", fontsize=11)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return finish(figure, path)


def draw_gradients(summaries, path):
    """Draws the norms of the gradients by the layers' kernels, before and after training.

    Args:
        summaries: list of `Summary`.
        path: path of the picture.

    Returns:
        The matplotlib figure. Lines are means over the seeds.
    """
    panels = _families(summaries)
    figure, axes = new_figure(2, len(panels), (1.2 + 4.2 * len(panels), 6.2))
    moments = (("gradients_start", "at initialisation"), ("gradients_end", "after training"))
    for row, (key, moment) in zip(axes, moments):
        for axis, (name, nets) in zip(row, panels.items()):
            for s in nets:
                found = [r[key]["kernels"] for r in s.records if key in r]
                if found:
                    norms = _mean(found)
                    norms = np.where(norms > 0, norms, np.nan)
                    style = {**_style(s, summaries), "linestyle": "solid"}
                    axis.plot(np.arange(1, len(norms) + 1), norms, label=label(s.run), **style)
            axis.set_yscale("log")
            axis.set_title(f"{name}, {moment}", fontsize=11)
            axis.set_xlim(left=0)
            axis.xaxis.get_major_locator().set_params(integer=True)
            if key == "gradients_end":
                axis.set_xlabel("layer, in order")
            elif axis.lines:
                axis.legend(frameon=False, fontsize=9)
        _share_limits(row)
        row[0].set_ylabel("L2 norm of the kernel's gradient")
    return finish(figure, path)


def _draw_net(axis, summary, color, unit):
    curves = [r["curve"] for r in summary.records if r["curve"]["steps"]]
    if not curves:
        return
    # A run that diverged is shorter than the others.
    length = max(len(c["steps"]) for c in curves)
    longest = next(c for c in curves if len(c["steps"]) == length)
    x = np.array(longest["steps"]) / unit
    test = _rows([c["test_error"] for c in curves], length)
    train = _rows([c["train_error"] for c in curves], length)
    if len(curves) > 1:
        band = (np.nanmin(test, axis=0), np.nanmax(test, axis=0))
        axis.fill_between(x, *band, color=color, alpha=0.15, linewidth=0)
    axis.plot(x, np.nanmean(train, axis=0), color=color, linewidth=1.0, linestyle="--")
    axis.plot(x, np.nanmean(test, axis=0), color=color, linewidth=2.2, label=label(summary.run))


def _rows(curves, length):
    """Curves in per cent `[runs, length]`, filled up with NaN."""
    rows = np.full((len(curves), length), np.nan)
    for row, curve in zip(rows, curves):
        row[: len(curve)] = [np.nan if v is None else 100 * v for v in curve]
    return rows


def _mean(rows):
    return np.array([[np.nan if v is None else v for v in row] for row in rows]).mean(axis=0)


def _families(summaries):
    panels = {}
    for s in summaries:
        panels.setdefault(family(s.run), []).append(s)
    return panels


def _color(depth, summaries):
    if depth in _COLORS:
        return _COLORS[depth]
    others = sorted({s.run.depth for s in summaries} - set(_COLORS))
    return _OTHERS[others.index(depth) % len(_OTHERS)]


def _style(summary, summaries):
    run = summary.run
    return {
        "color": _color(run.depth, summaries),
        "linestyle": _LINES[run.kind],
        "linewidth": 1.4,
        "marker": "o" if run.depth <= 60 else None,
        "markersize": 3,
    }


def _top(summaries):
    """Upper end of the axis of errors: the paper's 20 % unless runs end above it."""
    ends = [
        100 * v
        for s in summaries
        for r in s.records
        for key in ("test_error", "train_error")
        for v in r["curve"][key][-1:]
        if v is not None
    ]
    highest = max(ends, default=0.0)
    return 20.0 if highest < 18 else min(100.0, 10.0 * np.ceil(1.5 * highest / 10.0))


def _share_limits(row):
    limits = [axis.get_ylim() for axis in row if axis.lines]
    for axis in row:
        if limits:
            axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
