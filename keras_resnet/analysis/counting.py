"""Parameters and multiply-adds of any Keras model."""

import dataclasses
import math

import keras

from keras_resnet.analysis.backends import trace
from keras_resnet.analysis.figures import COLORS, finish, label_bars, new_figure
from keras_resnet.analysis.intercept import intercepted, sublayers

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_CONVOLUTIONS += (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
# Layers whose matrices are looked up or only scale, and are multiplied with nothing.
_FREE = (keras.layers.Embedding, keras.layers.LayerNormalization, keras.layers.PReLU)


@dataclasses.dataclass(frozen=True)
class LayerCount:
    """What one layer costs, without the layers inside it.

    Attributes:
        name: str, path of the layer.
        kind: str, name of its class.
        output_shape: tuple without the batch; of the last call, if there are several.
        parameters: int, weights other than `statistics`.
        trainable: int, those of them that train.
        statistics: int, moving means and variances.
        macs: int, multiply-adds for one example, over all calls.
    """

    name: str
    kind: str
    output_shape: tuple
    parameters: int
    trainable: int
    statistics: int
    macs: int


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a model costs. `print(counts)` shows a table.

    Attributes:
        layers: tuple of `LayerCount`, in the order in which the layers run: those that have
            weights or multiply.
        uncounted: tuple of str, paths of layers with matrices whose multiply-adds are not known
            here and therefore missing, such as recurrent ones.
    """

    layers: tuple
    uncounted: tuple

    @property
    def parameters(self):
        """All weights other than statistics."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self):
        """The parameters that train."""
        return sum(layer.trainable for layer in self.layers)

    @property
    def statistics(self):
        """Moving means and variances of the norms."""
        return sum(layer.statistics for layer in self.layers)

    @property
    def macs(self):
        """Multiply-adds for one example: the FLOPs of the paper."""
        return sum(layer.macs for layer in self.layers)

    @property
    def parts(self):
        """The sums over each layer of the model itself, as `LayerCount`s: blocks, not what is in
        them."""
        sums = {}
        for layer in self.layers:
            name = layer.name.split("/")[0]
            row = sums.get(name, LayerCount(name, "", (), 0, 0, 0, 0))
            sums[name] = LayerCount(
                name,
                layer.kind if layer.name == name else "",
                layer.output_shape,
                row.parameters + layer.parameters,
                row.trainable + layer.trainable,
                row.statistics + layer.statistics,
                row.macs + layer.macs,
            )
        return tuple(sums.values())

    def __str__(self):
        rows = [("layer", "output", "parameters", "statistics", "multiply-adds")]
        for part in self.parts:
            shape = "x".join(map(str, part.output_shape))
            numbers = (part.parameters, part.statistics, part.macs)
            rows.append((part.name, shape, *(f"{n:,}" for n in numbers)))
        totals = (self.parameters, self.statistics, self.macs)
        rows.append(("total", "", *(f"{n:,}" for n in totals)))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = []
        for row in rows:
            words = [row[0].ljust(widths[0])]
            words += [word.rjust(width) for word, width in zip(row[1:], widths[1:])]
            lines.append("  ".join(words))
        if self.uncounted:
            lines.append(f"without the multiply-adds of {', '.join(self.uncounted)}")
        return "\n".join(lines)

    def draw(self, path=None):
        """Draw multiply-adds and parameters of the model's layers.

        Args:
            path: str or path of the picture, whose suffix decides the format; None writes none.

        Returns:
            The matplotlib figure.
        """
        parts = self.parts
        figure, axes = new_figure(2, 1, (max(7, min(16, 0.22 * len(parts) + 2)), 7))
        series = (
            ([part.macs / 1e6 for part in parts], "million multiply-adds"),
            ([part.parameters / 1e6 for part in parts], "million parameters"),
        )
        for i, (axis, (heights, label)) in enumerate(zip(axes.flat, series)):
            axis.bar(range(len(parts)), heights, color=COLORS[i])
            axis.set_ylabel(label)
        axes[0, 0].set_title(
            f"{self.macs / 1e9:.3f} G multiply-adds, {self.parameters / 1e6:.2f} M parameters",
            fontsize=11,
        )
        for axis in axes.flat:
            label_bars(axis, [part.name for part in parts])
        axes[0, 0].tick_params(labelbottom=False)
        axes[0, 0].set_xlabel("")
        return finish(figure, path)


def count(model, input_shape=None):
    """Count the parameters and multiply-adds of a model, in all and for each layer.

    Nothing is computed: the model runs once on shapes. The multiply-adds are those of convolution
    and dense layers, wherever they are nested; additions of biases, norms, activations, pooling
    and operations that are not layers are not counted, as in the paper's "FLOPs".

    Args:
        model: a built Keras model of any kind.
        input_shape: tuple without the batch, or for several inputs the list or dict of them. None
            takes the model's own input, if all its sizes are known.

    Returns:
        `Counts`.

    Raises:
        ValueError: if the model is not built, or the input shape is needed.

    Reference:
        [He et al., 2015, table 1 and section 3.3](https://arxiv.org/abs/1512.03385)

    Example:

    >>> costs = count(keras_resnet.ResNet50())
    >>> costs.parameters, costs.statistics, round(costs.macs / 1e9, 3)
    (25557032, 53120, 4.089)
    """
    if not model.built:
        raise ValueError(
            f"Call the model or its `build` first. Received: {model.name!r}, not built"
        )
    found = {id(layer): (path, layer) for path, layer in sublayers(model).items()}
    shapes, macs, order = {}, {}, []

    def note(layer, inputs, outputs):
        if id(layer) not in shapes:
            order.append(id(layer))
        shapes[id(layer)] = _shape(outputs)
        macs[id(layer)] = macs.get(id(layer), 0) + (_macs(layer, inputs, outputs) or 0)
        return outputs

    def run(inputs):
        layers = [layer for _, layer in found.values()]
        with keras.StatelessScope(), intercepted(layers, note):
            model(inputs, training=False)

    trace(run, _input_specs(model, input_shape))
    order += [key for key in found if key not in shapes]
    rows, uncounted, counted = [], [], set()
    for key in order:
        name, layer = found[key]
        own = [v for v in _own_variables(layer) if id(v) not in counted]
        counted |= {id(variable) for variable in own}
        sizes = [(_role(v), v.trainable, math.prod(v.shape)) for v in own]
        row = LayerCount(
            name,
            type(layer).__name__,
            shapes.get(key, ()),
            sum(size for role, _, size in sizes if role == "parameter"),
            sum(size for role, trains, size in sizes if role == "parameter" and trains),
            sum(size for role, _, size in sizes if role == "statistic"),
            macs.get(key, 0),
        )
        if own or row.macs:
            rows.append(row)
        if key in shapes and _is_unknown(layer, own):
            uncounted.append(name)
    return Counts(tuple(rows), tuple(uncounted))


def _input_specs(model, input_shape):
    """Return the shapes, with a batch of 1, and dtypes of the model's inputs."""
    # A subclassed model has none, and a sequential one no `input` before it is called.
    own = getattr(model, "inputs", None) or None
    if own is not None:
        own = own[0] if isinstance(model, keras.Sequential) else model.input
    if input_shape is None:
        if own is None:
            raise ValueError(
                "The model does not know its input; pass `input_shape`, without the batch. "
                f"Received: input_shape=None, model {model.name!r}"
            )
        shapes = keras.tree.map_structure(lambda x: _Shape(x.shape[1:]), own)
    else:
        shapes = keras.tree.map_shape_structure(_Shape, input_shape)
    if any(size is None for shape in keras.tree.flatten(shapes) for size in shape.sizes):
        raise ValueError(
            "Multiply-adds depend on the size of the input, which is free; pass `input_shape`, "
            f"without the batch. Received: input_shape={input_shape}, model {model.name!r}"
        )
    dtypes = [x.dtype for x in keras.tree.flatten(own)] if own is not None else []
    flat = keras.tree.flatten(shapes)
    if len(dtypes) != len(flat):
        dtypes = ["float32"] * len(flat)
    specs = [_Spec((1, *shape.sizes), dtype) for shape, dtype in zip(flat, dtypes)]
    return keras.tree.pack_sequence_as(shapes, specs)


class _Shape:
    """A shape that is no structure of numbers."""

    def __init__(self, sizes):
        self.sizes = tuple(sizes)


@dataclasses.dataclass(frozen=True)
class _Spec:
    shape: tuple
    dtype: str


def _shape(outputs):
    first = keras.tree.flatten(outputs)[0]
    return tuple(first.shape[1:])


def _own_variables(layer):
    """Return the weights of a layer that belong to no layer inside it."""
    children = layer._flatten_layers(include_self=False, recursive=False)
    inner = {id(variable) for child in children for variable in child.weights}
    return [variable for variable in layer.weights if id(variable) not in inner]


def _role(variable):
    name = variable.path.split("/")[-1]
    if name in ("moving_mean", "moving_variance"):
        return "statistic"
    # What the layer that standardizes inputs has measured.
    if not variable.trainable and name in ("mean", "variance", "count"):
        return "statistic"
    return "parameter"


def _macs(layer, inputs, outputs):
    """Return the multiply-adds of one call on one example, or None for an unknown layer."""
    if isinstance(layer, _CONVOLUTIONS):
        return _positions(layer, outputs) * math.prod(layer.kernel.shape)
    if isinstance(layer, _TRANSPOSED):
        return _positions(layer, inputs) * math.prod(layer.kernel.shape)
    if isinstance(layer, _SEPARABLE):
        kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        return _positions(layer, outputs) * sum(math.prod(kernel.shape) for kernel in kernels)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(outputs.shape[1:-1]) * math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.EinsumDense):
        # One multiplication for each combination of an output's axes with the kernel's others.
        left, result = layer.equation.replace(" ", "").split("->")
        of_kernel = left.split(",")[1].replace(".", "")
        summed = [size for axis, size in zip(of_kernel, layer.kernel.shape) if axis not in result]
        return math.prod(outputs.shape[1:]) * math.prod(summed)
    return None


def _positions(layer, tensor):
    sizes = tensor.shape[2:] if layer.data_format == "channels_first" else tensor.shape[1:-1]
    return math.prod(sizes)


def _is_unknown(layer, own):
    known = _CONVOLUTIONS + _TRANSPOSED + _SEPARABLE + _FREE
    known += (keras.layers.Dense, keras.layers.EinsumDense)
    return not isinstance(layer, known) and any(len(v.shape) > 1 for v in own)
