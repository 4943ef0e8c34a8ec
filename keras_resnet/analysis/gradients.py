"""Norms of the gradients that reach the layers of a network."""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_resnet.analysis.backends import (
    call_stateless,
    trace,
    value_and_gradients,
    variable_values,
)
from keras_resnet.analysis.figures import COLORS, finish, new_figure
from keras_resnet.analysis.intercept import intercepted, sublayers


@dataclasses.dataclass(frozen=True)
class GradientNorms:
    """The gradients of a network's layers, in the order in which the layers run.

    Attributes:
        names: tuple of str, paths of the layers with a kernel.
        kernels: float64 array `[layers]`, L2 norm of the loss's gradient by the kernel.
        outputs: float64 array `[layers]`, L2 norm of the loss's gradient by what the layer
            returns: the signal that is propagated backward.
        loss: float.
    """

    names: tuple
    kernels: np.ndarray
    outputs: np.ndarray
    loss: float

    def draw(self, path=None):
        """Draw both norms against the depth, on a logarithmic scale.

        Args:
            path: str or path of the picture, whose suffix decides the format; None writes none.

        Returns:
            The matplotlib figure.
        """
        figure, axes = new_figure(2, 1, (8, 6))
        positions = np.arange(1, len(self.names) + 1)
        parts = ((self.kernels, "by the kernels"), (self.outputs, "by the layers' outputs"))
        for i, (axis, (norms, title)) in enumerate(zip(axes.flat, parts)):
            axis.plot(positions, np.where(norms > 0, norms, np.nan), color=COLORS[i], marker="o")
            axis.set_yscale("log")
            axis.set_ylabel("L2 norm")
            axis.set_title(f"Gradient {title}", fontsize=11)
            axis.xaxis.get_major_locator().set_params(integer=True)
        zeros = int((self.kernels == 0).sum())
        left_out = f" ({zeros} layers with a zero gradient not drawn)" if zeros else ""
        axes[1, 0].set_xlabel(f"layer, in order{left_out}")
        return finish(figure, path)


def gradient_norms(model, x, y, loss=None, training=True):
    """Measure the gradients that reach every convolution and dense layer.

    Where signals vanish, the first layers have norms many orders of magnitude below the last. The
    paper observes that plain networks with batch norm do not: their gradients are healthy, and
    their difficulty lies elsewhere.

    Args:
        model: a built Keras model with one output.
        x: array of one batch of inputs, as the model wants it.
        y: array `[B]` of classes, or `[B, K]` of probabilities.
        loss: function of (y, outputs) or the name of a Keras loss. None is cross-entropy, on
            probabilities or logits, whichever the model returns.
        training: bool, normalize by the batch, as in training. The model does not change.

    Returns:
        `GradientNorms`.

    Reference:
        [He et al., 2015, section 4.1, "Plain Networks"](https://arxiv.org/abs/1512.03385)

    Example:

    >>> model = keras_resnet.ResNet((1, 1), block="basic", width=8, stem="3x3", classes=2)
    >>> x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype("float32")
    >>> norms = gradient_norms(model, x, np.array([0, 1, 0, 1]))
    >>> norms.names[0], norms.names[-1]
    ('stem/conv', 'predictions')
    >>> bool((norms.outputs[[0, -1]] > 0).all())
    True
    """
    layers = {
        id(layer): (path, layer)
        for path, layer in sublayers(model).items()
        if isinstance(getattr(layer, "kernel", None), keras.Variable)
    }
    x = keras.tree.map_structure(np.asarray, x)
    values = variable_values(model)
    calls = []

    def note(layer, inputs, outputs):
        calls.append((layer, tuple(outputs.shape), outputs.dtype))
        return outputs

    def dry(inputs):
        with intercepted([layer for _, layer in layers.values()], note):
            call_stateless(model, values, inputs, training)

    trace(dry, x)
    # A zero added to what a layer returns has the gradient of what it returns.
    probes = [ops.zeros(shape, dtype) for _, shape, dtype in calls]
    order = list({id(layer): layer for layer, _, _ in calls}.values())
    index = {id(variable): i for i, variable in enumerate(model.variables)}
    kernels = [index[id(layer.kernel)] for layer in order]

    def forward(differentiated):
        mine = list(values)
        for i, kernel in zip(kernels, differentiated):
            mine[i] = kernel
        rest = iter(differentiated[len(kernels) :])
        with intercepted(order, lambda layer, inputs, outputs: outputs + next(rest)):
            outputs = call_stateless(model, mine, x, training)
        return _mean_loss(loss, y, outputs), ()

    total, _, gradients = value_and_gradients(forward, [values[i] for i in kernels] + probes)
    norms = [np.linalg.norm(gradient.astype("float64")) for gradient in gradients]
    # A layer that runs more than once has more than one probe.
    outputs = {id(layer): 0.0 for layer in order}
    for (layer, _, _), norm in zip(calls, norms[len(kernels) :]):
        outputs[id(layer)] = np.hypot(outputs[id(layer)], norm)
    return GradientNorms(
        tuple(layers[id(layer)][0] for layer in order),
        np.array(norms[: len(kernels)]),
        np.array([outputs[id(layer)] for layer in order]),
        float(total),
    )


def _mean_loss(loss, y, outputs):
    y = ops.convert_to_tensor(np.asarray(y))
    outputs = ops.cast(outputs, "float32")
    if loss is not None:
        return ops.mean(keras.losses.get(loss)(y, outputs))
    sums = ops.sum(outputs, axis=-1)
    is_distribution = ops.logical_and(ops.all(outputs >= 0), ops.all(ops.abs(sums - 1) < 1e-3))
    # Both branches are cheap, and a compiled function cannot ask which one it needs.
    logarithms = ops.where(
        is_distribution,
        ops.log(ops.maximum(outputs, keras.config.epsilon())),
        ops.log_softmax(outputs, axis=-1),
    )
    classes = outputs.shape[-1]
    if len(y.shape) < len(outputs.shape):
        y = ops.one_hot(ops.cast(y, "int32"), classes)
    return -ops.mean(ops.sum(ops.cast(y, "float32") * logarithms, axis=-1))
