"""Figures 6 and 7 of the paper from our runs, and the gradients of the layers."""

import numpy as np

from keras_resnet.analysis.figures import DARK, finish, new_figure
from keras_resnet.experiments.summary import family, label

# Okabe and Ito's palette, told apart by colour-blind people, nearly in the paper's order.
_COLORS = {20: "#E69F00", 32: "#56B4E9", 44: "#009E73", 56: "#D55E00", 110: "#000000"}
_OTHERS = ("#CC79A7", "#0072B2", "#7F7F7F", "#8C564B")
_LINES = {
    "plain": (0, (4, 1.5)),
    "highway": (0, (1, 1.2)),
    "zero_pad": "solid",
    "projection": (0, (6, 1.5, 1, 1.5)),
    "projection_all": (0, (6, 1.5, 1, 1.5, 1, 1.5)),
}
# More nets than this do not share a panel of responses.
_TOGETHER = 6


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
    figure, axes = new_figure(1, len(panels), (1.2 + 4.2 * len(panels), 4.4))
    steps = max(s.first("steps") for s in summaries)
    # As in the paper where the runs are as long.
    unit, text = (10_000, "step (1e4)") if steps >= 20_000 else (1, "step")
    top = _top(summaries)
    for axis, (name, nets) in zip(axes.flat, panels.items()):
        axis.set_title(name, fontsize=11)
        for s in nets:
            _draw_net(axis, s, _color(s.run.depth, summaries), unit, top)
        axis.set_xlabel(text)
        axis.set_xlim(0, steps / unit)
        axis.set_ylim(0, top)
        if axis.lines:
            axis.legend(fontsize=9, loc="upper right", edgecolor="none", framealpha=0.9)
        axis.yaxis.get_major_locator().set_params(steps=[1, 2, 5, 10])
    axes[0, 0].set_ylabel("error (%)")
    _styles_legend(figure)
    return finish(figure, path)


def draw_responses(summaries, path):
    """Draws the standard deviations of the layers' responses, in order and sorted.

    Args:
        summaries: list of `Summary`.
        path: path of the picture.

    Returns:
        The matplotlib figure, with a column a kind of net where they are many. Lines are means
        over the seeds.
    """
    nets = [s for s in summaries if s.finished]
    panels = {"": nets} if len(nets) <= _TOGETHER else _families(nets)
    width = 8.5 if len(panels) == 1 else 1.2 + 4.2 * len(panels)
    figure, axes = new_figure(2, len(panels), (width, 6.5))
    for (in_order, by_size), (name, shown) in zip(axes.T, panels.items()):
        for s in shown:
            stds = _mean([r["responses"]["stds"] for r in s.finished])
            positions = np.arange(1, len(stds) + 1)
            style = {"linewidth": 1.4, "color": _color(s.run.depth, summaries)}
            style["linestyle"] = "solid" if name else _LINES[s.run.shortcut or s.run.kind]
            in_order.plot(positions, stds, label=label(s.run), **style)
            by_size.plot(positions, np.sort(stds)[::-1], **style)
        in_order.set_title(name, fontsize=11)
        in_order.set_xlabel("layer, in order")
        by_size.set_xlabel("layer, sorted by response")
        if name:
            by_size.legend(*in_order.get_legend_handles_labels(), frameon=False, fontsize=9)
    if len(panels) == 1:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    highest = max(axis.get_ylim()[1] for axis in axes.flat)
    for axis in axes.flat:
        axis.set_ylim(0, highest)
        axis.set_xlim(left=0)
        axis.xaxis.get_major_locator().set_params(integer=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("standard deviation")
    figure.suptitle("Responses of the 3x3 layers, after their norm", fontsize=12)
    return finish(figure, path)


def draw_gradients(summaries, path):
    """Draws the norms of the gradients by the layers' kernels, before and after training.

    Args:
        summaries: list of `Summary`.
        path: path of the picture.

    Returns:
        The matplotlib figure. Lines are means over the seeds. Projections and gates of shortcuts
        are left out, so that there are as many layers as the net's name says.
    """
    panels = _families(summaries)
    figure, axes = new_figure(2, len(panels), (1.2 + 4.2 * len(panels), 6.6))
    moments = (("gradients_start", "at initialisation"), ("gradients_end", "after training"))
    handles = {}
    for row, (key, moment) in zip(axes, moments):
        for axis, (name, nets) in zip(row, panels.items()):
            for s in nets:
                found = [_main_path(r[key]) for r in s.records if key in r]
                if found:
                    norms = _mean(found)
                    norms = np.where(norms > 0, norms, np.nan)
                    positions = np.arange(1, len(norms) + 1)
                    color = _color(s.run.depth, summaries)
                    handles[s.run.depth] = axis.plot(positions, norms, color=color, linewidth=1.4)
            axis.set_yscale("log")
            axis.set_title(f"{name}, {moment}", fontsize=11)
            axis.set_xlim(left=0)
            axis.xaxis.get_major_locator().set_params(integer=True)
        row[0].set_ylabel("L2 norm of the kernel's gradient")
    for axis in axes[1]:
        axis.set_xlabel("layer, in order")
    _whole_decades(list(axes.flat))
    depths = sorted(handles)
    figure.legend(
        handles=[handles[depth][0] for depth in depths],
        labels=[f"{depth} layers" for depth in depths],
        loc="outside lower center",
        ncols=max(1, len(depths)),
        frameon=False,
        fontsize=9,
    )
    return finish(figure, path)


def _draw_net(axis, summary, color, unit, top):
    curves = [r["curve"] for r in summary.records if r["curve"]["steps"]]
    if not curves:
        return
    # A run that diverged is shorter than the others.
    longest = max(curves, key=lambda curve: len(curve["steps"]))
    length = len(longest["steps"])
    x = np.array(longest["steps"]) / unit
    test = _rows([c["test_error"] for c in curves], length)
    train = _rows([c["train_error"] for c in curves], length)
    if len(curves) > 1:
        band = (np.nanmin(test, axis=0), np.nanmax(test, axis=0))
        axis.fill_between(x, *band, color=color, alpha=0.15, linewidth=0)
    name = label(summary.run)
    mean = np.nanmean(test, axis=0)
    if mean[-1] > top:
        name += f" ({mean[-1]:.0f} %, above)"
    # One point makes no line.
    style = {"color": color, "marker": "o" if length == 1 else None}
    axis.plot(x, np.nanmean(train, axis=0), linewidth=1.0, linestyle="--", **style)
    axis.plot(x, mean, linewidth=2.0, label=name, **style)


def _rows(curves, length):
    """Curves in per cent `[runs, length]`, filled up with NaN."""
    rows = np.full((len(curves), length), np.nan)
    for row, curve in zip(rows, curves):
        row[: len(curve)] = [np.nan if v is None else 100 * v for v in curve]
    return rows


def _main_path(gradients):
    pairs = zip(gradients["names"], gradients["kernels"])
    return [norm for name, norm in pairs if "/shortcut" not in name]


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


def _top(summaries):
    """Upper end of the axis of errors: the paper's 20 % unless nets end above it.

    As in the paper, a net that ends far above the others is not what the axis is made for.
    """
    ends = [
        100 * max(curve["test_error"][-1] or 0, curve["train_error"][-1] or 0)
        for curve in (r["curve"] for s in summaries for r in s.finished)
        if curve["steps"]
    ]
    if not ends:
        return 100.0
    highest = max(end for end in ends if end <= 2.5 * np.median(ends))
    return 20.0 if highest < 18 else min(100.0, 10.0 * np.ceil(1.5 * highest / 10.0))


def _whole_decades(axes):
    """The same limits for all, so that panels compare, at powers of ten."""
    values = [line.get_ydata() for axis in axes for line in axis.lines]
    values = np.concatenate([v[np.isfinite(v)] for v in values] or [np.ones(1)])
    if not len(values):
        return
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    for axis in axes:
        axis.set_ylim(10.0**low, 10.0 ** max(high, low + 1))


def _styles_legend(figure):
    from matplotlib.lines import Line2D

    styles = [
        Line2D([], [], color=DARK, linewidth=2.0, label="test error"),
        Line2D(
            [],
            [],
            color=DARK,
            linewidth=1.0,
            linestyle="--",
            label="training error (augmented images)",
        ),
    ]
    figure.legend(handles=styles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
