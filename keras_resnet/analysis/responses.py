"""Standard deviations of layer responses, figure 7 of He et al. 2015."""

import contextlib
import dataclasses

import keras
import numpy as np
from keras import ops

from keras_resnet.analysis.backends import (
    batches,
    call_stateless,
    compiled,
    to_numpy,
    variable_values,
)
from keras_resnet.analysis.figures import COLORS, finish, new_figure
from keras_resnet.analysis.intercept import intercepted, sublayers, swapped
from keras_resnet.normalization import BatchNormalization

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
NORMS = (
    BatchNormalization,
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)


@dataclasses.dataclass(frozen=True)
class LayerResponses:
    """The responses of a network's layers.

    Attributes:
        names: tuple of str, paths of the convolutions in the order in which they run.
        stds: float64 array `[layers]`, standard deviation over images, positions and channels.
    """

    names: tuple
    stds: np.ndarray

    @property
    def sorted(self):
        """The standard deviations in descending order."""
        return np.sort(self.stds)[::-1]

    def draw(self, path=None):
        """Draw the responses in depth order and sorted.

        Args:
            path: str or path of the picture, whose suffix decides the format; None writes none.

        Returns:
            The matplotlib figure.
        """
        return draw_responses({"": self}, path)


def layer_responses(model, images, kernel_size=3, batch_size=32, training=False):
    """Measure the standard deviation of the response of every 3x3 layer.

    A response is the output of a convolution after its norm and before any non-linearity or
    addition. The norm of a convolution is the one that takes its output directly; without one, as
    for the last convolution of a pre-activation block, it is the output of the convolution.
    Residual networks have smaller responses than plain ones, and deeper ones smaller ones still.

    Args:
        model: a built Keras model of any kind.
        images: array `[N, H, W, C]` as the model wants it.
        kernel_size: int, side of the kernels of the layers to measure; None for all convolutions.
        batch_size: int.
        training: bool, normalize by the batch instead of the moving statistics, for a network
            that was not trained yet. The model's statistics do not change.

    Returns:
        `LayerResponses`.

    Raises:
        ValueError: if no layer has such a kernel.

    Reference:
        [He et al., 2015, section 4.2, "Analysis of Layer Responses", and
        figure 7](https://arxiv.org/abs/1512.03385)

    Example:

    >>> model = keras_resnet.ResNet((1, 1), block="basic", width=8, stem="3x3", classes=2)
    >>> images = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype("float32")
    >>> responses = layer_responses(model, images, training=True)
    >>> responses.names[:2]
    ('stem/conv', 'stage2_block1/conv1')
    >>> responses.stds[:2].round(2)
    array([1., 1.])
    """
    layers = sublayers(model)
    chosen = {
        id(layer): path
        for path, layer in layers.items()
        if isinstance(layer, CONVOLUTIONS)
        and (kernel_size is None or tuple(layer.kernel_size) == (kernel_size,) * 2)
    }
    if not chosen:
        raise ValueError(
            "The model has no convolution with such a kernel. "
            f"Received: kernel_size={kernel_size}, model {model.name!r}"
        )
    watched = [
        layer for layer in layers.values() if id(layer) in chosen or isinstance(layer, NORMS)
    ]
    names = []

    @compiled
    def moments(values, x):
        seen = responses_of(model, values, x, training, watched, chosen)
        names[:] = [name for name, _ in seen]
        return [_moments(response) for _, response in seen]

    values = variable_values(model)
    total = np.zeros((3, 1))
    for x in batches(images, batch_size):
        total = _merged(total, np.array(to_numpy(moments(values, x)), "float64").T)
    return LayerResponses(tuple(names), np.sqrt(total[2] / total[0]))


def responses_of(model, values, x, training, watched, chosen):
    """Return [(path, response)] of the layers whose ids are in `chosen`, in the order they run."""
    seen = []
    activations = {}

    def watch(layer, inputs, outputs):
        if id(layer) in chosen:
            seen.append([chosen[id(layer)], outputs])
            # The layer was deprived of its activation below, so that this is what comes before.
            return activations[id(layer)](outputs)
        for row in seen:
            if row[1] is inputs:
                row[1] = outputs
        return outputs

    with contextlib.ExitStack() as stack:
        for layer in watched:
            if id(layer) in chosen:
                activations[id(layer)] = layer.activation
                stack.enter_context(swapped(layer, "activation", keras.activations.linear))
        stack.enter_context(intercepted(watched, watch))
        call_stateless(model, values, x, training)
    return seen


def draw_responses(responses, path=None):
    """Draw the responses of several networks in one figure, as figure 7 of the paper does.

    Args:
        responses: dict from label to `LayerResponses`.
        path: str or path of the picture, whose suffix decides the format; None writes none.

    Returns:
        The matplotlib figure.

    Example:

    >>> plain = LayerResponses(("a", "b"), np.array([0.5, 1.0]))
    >>> len(draw_responses({"plain": plain}).axes)
    2
    """
    figure, axes = new_figure(2, 1, (8, 6))
    in_order, by_size = axes.flat
    for i, (label, one) in enumerate(responses.items()):
        style = {"color": COLORS[i % len(COLORS)], "label": label, "linewidth": 1.4}
        style["marker"] = "o" if len(one.stds) <= 60 else None
        positions = np.arange(1, len(one.stds) + 1)
        in_order.plot(positions, one.stds, markersize=3.5, **style)
        by_size.plot(positions, one.sorted, markersize=3.5, **style)
    for axis, label in ((in_order, "layer, in order"), (by_size, "layer, sorted by response")):
        axis.set_xlabel(label)
        axis.set_ylabel("standard deviation")
        axis.set_ylim(bottom=0)
        axis.xaxis.get_major_locator().set_params(integer=True)
    in_order.set_title("Responses of the layers, after their norm", fontsize=11)
    if any(responses):
        figure.legend(*in_order.get_legend_handles_labels(), loc="outside right upper", fontsize=9)
    return finish(figure, path)


def _moments(x):
    """Return (count, mean, sum of squared deviations) of a tensor, in float32."""
    x = ops.cast(x, "float32")
    mean = ops.mean(x)
    squares = ops.sum(ops.square(x - mean))
    return ops.stack([ops.cast(ops.size(x), "float32"), mean, squares])


def _merged(a, b):
    """Combine the moments `[3, layers]` of two sets (Chan et al., 1983)."""
    count = a[0] + b[0]
    delta = b[1] - a[1]
    mean = a[1] + delta * b[0] / count
    return np.stack([count, mean, a[2] + b[2] + delta**2 * a[0] * b[0] / count])
