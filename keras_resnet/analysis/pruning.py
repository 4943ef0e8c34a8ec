"""Removal of residual blocks that do nothing."""

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
from keras_resnet.analysis.blocks import residual_blocks
from keras_resnet.analysis.counting import count
from keras_resnet.analysis.figures import COLORS, DARK, finish, label_bars, new_figure
from keras_resnet.analysis.intercept import intercepted, sublayers


@dataclasses.dataclass(frozen=True)
class Pruning:
    """A network without its idle blocks.

    Attributes:
        model: `keras.Model`, the pruned copy, not compiled; an ordinary functional (or sequential)
            model, whose layers keep their names.
        removed: tuple of str, paths of the removed blocks in depth order.
        names: tuple of str, paths of all blocks that could be removed.
        changes: float64 array of the length of `names`, how much each block changes what passes
            through it: the largest difference of its output and input over the largest output.
        tolerance: float.
        output_change: float, largest difference of the two models' outputs over the largest
            output.
        macs: (int, int), multiply-adds for one image before and after.
    """

    model: keras.Model
    removed: tuple
    names: tuple
    changes: np.ndarray
    tolerance: float
    output_change: float
    macs: tuple

    def draw(self, path=None):
        """Draw how much each block changes its input, and the tolerance.

        Args:
            path: str or path of the picture, whose suffix decides the format; None writes none.

        Returns:
            The matplotlib figure.
        """
        figure, axes = new_figure(1, 1, (max(6, min(16, 0.22 * len(self.names) + 2)), 4.8))
        axis = axes[0, 0]
        colors = [COLORS[1] if name in self.removed else COLORS[0] for name in self.names]
        # A bar for no change at all is there to be seen as well.
        positive = [change for change in (self.tolerance, *self.changes) if change > 0]
        least = min(positive, default=1.0) / 10
        axis.bar(range(len(self.names)), np.maximum(self.changes, least), color=colors)
        axis.axhline(self.tolerance, color=DARK, linestyle="--", linewidth=1)
        axis.set_yscale("log")
        axis.set_ylim(least / 3, 3 * max(positive, default=1.0))
        none = " (lowest bars: none)" if (self.changes == 0).any() else ""
        axis.set_ylabel(f"change of the block's input{none}")
        before, after = (n / 1e6 for n in self.macs)
        axis.set_title(
            f"{len(self.removed)} of {len(self.names)} blocks removed (red)\n"
            f"{before:,.1f} to {after:,.1f} million multiply-adds",
            fontsize=11,
        )
        label_bars(axis, self.names)
        return finish(figure, path)


def prune_blocks(model, tolerance=1e-5, images=None, batch_size=32):
    """Copy a network without the residual blocks whose branch is near zero.

    A block is removed where its output equals its input within the tolerance, on the images given:
    where the shortcut is the identity (or the gate of a highway carries all) and the branch is
    near zero. Should the outputs of the whole network then differ by more
    than the tolerance, the blocks that change the most are put back until they do not.

    Args:
        model: a built functional or sequential Keras model that holds residual blocks of this
            package, itself or in nested functional or sequential models. It is not changed.
        tolerance: float ≥ 0, largest allowed difference relative to the largest output.
        images: array `[N, H, W, C]` as the model wants it. None takes 8 images of normal noise,
            which is enough for branches whose last scale is zero; branches of a trained network
            that are only small need real images.
        batch_size: int.

    Returns:
        `Pruning`, whose `model` is the pruned copy.

    Raises:
        ValueError: if blocks lie in a subclassed model, which cannot be rebuilt without them.

    Reference:
        [He et al., 2015, section 3.2](https://arxiv.org/abs/1512.03385): the identity is easy to
        learn; [Veit et al., 2016, section 4.2](https://arxiv.org/abs/1605.06431)

    Example:

    >>> model = keras_resnet.ResNet((2, 2), block="basic", width=8, stem="3x3", classes=2)
    >>> pruning = prune_blocks(model)  # a new network's branches are zero
    >>> pruning.removed
    ('stage2_block1', 'stage2_block2', 'stage3_block2')
    >>> x = np.ones((1, 8, 8, 3), "float32")
    >>> bool(np.all(model(x) == pruning.model(x)))
    True
    """
    if not tolerance >= 0:
        raise ValueError(f"`tolerance` must not be negative. Received: tolerance={tolerance}")
    if images is None:
        images = _noise(model)
    changes = _changes(model, images, batch_size)
    paths = residual_blocks(model)
    # The block that changes the least is the last to be put back.
    removed = sorted(
        (name for name, change in changes.items() if change <= tolerance), key=changes.get
    )
    expected = _outputs(model, images, batch_size)
    while True:
        pruned = _without(model, [paths[name] for name in removed])
        change = _difference(expected, _outputs(pruned, images, batch_size))
        if change <= tolerance or not removed:
            break
        removed.pop()
    shape = keras.tree.map_structure(lambda a: a[0], images)
    shape = keras.tree.map_structure(np.shape, shape)
    return Pruning(
        pruned,
        tuple(name for name in changes if name in removed),
        tuple(changes),
        np.array(list(changes.values()), "float64"),
        tolerance,
        change,
        (count(model, shape).macs, count(pruned, shape).macs),
    )


def _noise(model):
    """Return 8 images of noise of the model's input size, 64 where that is free."""
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple):
        raise ValueError(f"Pass `images` for a model with such inputs. Received: {model.name!r}")
    sizes = [64 if size is None else size for size in shape[1:]]
    return np.random.default_rng(0).standard_normal((8, *sizes)).astype("float32")


def _changes(model, images, batch_size):
    """Return the relative change by each block that keeps the shape, by path in depth order."""
    blocks = residual_blocks(model)
    path_of = {id(block): path for path, block in blocks.items()}
    names = []

    @compiled
    def measure(values, x):
        seen = {}

        def note(block, inputs, outputs):
            if tuple(inputs.shape) == tuple(outputs.shape):
                difference = ops.max(ops.abs(ops.cast(outputs - inputs, "float32")))
                largest = ops.max(ops.abs(ops.cast(outputs, "float32")))
                seen.setdefault(path_of[id(block)], []).append(ops.stack([difference, largest]))
            return outputs

        with intercepted(blocks.values(), note):
            call_stateless(model, values, x)
        names[:] = seen
        # A block that runs several times counts with the largest numbers.
        return [ops.max(ops.stack(pairs), axis=0) for pairs in seen.values()]

    values = variable_values(model)
    largest = 0.0
    for x in batches(images, batch_size):
        pairs = to_numpy(measure(values, x))
        largest = np.maximum(largest, np.array(pairs).reshape(-1, 2))
    if not names:
        return {}
    return dict(zip(names, _ratio(largest[:, 0], largest[:, 1]).tolist()))


def _ratio(difference, largest):
    # 0 / 0 is no change.
    return np.where(difference == 0, 0.0, difference / np.maximum(largest, 1e-30))


def _outputs(model, images, batch_size):
    """Return the model's outputs, flattened, as a list of arrays."""

    @compiled
    def run(values, x):
        return keras.tree.flatten(call_stateless(model, values, x))

    values = variable_values(model)
    parts = [to_numpy(run(values, x)) for x in batches(images, batch_size)]
    return [np.concatenate(part) for part in zip(*parts)]


def _difference(expected, actual):
    return max(
        float(_ratio(np.abs(a - b).max(), np.abs(a).max())) for a, b in zip(expected, actual)
    )


def _without(model, blocks):
    """Copy a functional or sequential model without the given layers."""
    gone = {id(block) for block in blocks}
    copies = {}

    def copy(layer):
        if id(layer) not in copies:
            nested = isinstance(layer, keras.Model) and any(
                id(inner) in gone for inner in sublayers(layer).values()
            )
            copies[id(layer)] = (layer, rebuild(layer) if nested else _clone(layer))
        return copies[id(layer)][1]

    def rebuild(part):
        if isinstance(part, keras.Sequential):
            kept = [copy(layer) for layer in part.layers if id(layer) not in gone]
            inputs = keras.Input(batch_shape=part.input_shape)
            return keras.Sequential([inputs, *kept], name=part.name)

        def call(layer, *args, **kwargs):
            is_gone = any(id(old) in gone and new is layer for old, new in copies.values())
            return args[0] if is_gone else layer(*args, **kwargs)

        return keras.models.clone_model(part, clone_function=copy, call_function=call)

    pruned = rebuild(model)
    for old, new in copies.values():
        if id(old) not in gone and isinstance(new, keras.layers.Layer):
            _copy_state(old, new)
    if not model.trainable:
        pruned.trainable = False
    return pruned


def _clone(layer):
    return type(layer).from_config(layer.get_config())


def _copy_state(old, new):
    """Give a copied layer the weights of the original, and freeze in it what was frozen."""
    if type(old) is not type(new) and isinstance(old, keras.Model):
        return  # a nested model that lost blocks: the layers in it are copied one by one
    if new.weights:
        new.set_weights(old.get_weights())
    for before, after in zip(sublayers(old).values(), sublayers(new).values()):
        after.trainable = before.trainable
