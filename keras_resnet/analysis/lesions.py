"""What a network loses without one of its residual blocks."""

import dataclasses

import numpy as np
from keras import ops

from keras_resnet.analysis.backends import batches, call_stateless, compiled, variable_values
from keras_resnet.analysis.blocks import ends, residual_blocks, without_branch
from keras_resnet.analysis.figures import COLORS, DARK, finish, label_bars, new_figure
from keras_resnet.analysis.intercept import intercepted


@dataclasses.dataclass(frozen=True)
class Lesions:
    """The accuracy of a network without each of its blocks.

    Attributes:
        names: tuple of str, paths of the blocks in depth order.
        accuracies: float64 array `[blocks]`, top-1 accuracy without that block's branch.
        intact: float, accuracy of the network as it is.
        examples: int, how many images the accuracies are of.
    """

    names: tuple
    accuracies: np.ndarray
    intact: float
    examples: int

    def draw(self, path=None):
        """Draw the accuracies, with a line where the intact network is.

        Args:
            path: str or path of the picture, whose suffix decides the format; None writes none.

        Returns:
            The matplotlib figure.
        """
        figure, axes = new_figure(1, 1, (max(6, min(16, 0.22 * len(self.names) + 2)), 4.5))
        axis = axes[0, 0]
        axis.bar(range(len(self.names)), self.accuracies, color=COLORS[0])
        axis.axhline(self.intact, color=DARK, linestyle="--", linewidth=1)
        axis.set_ylim(0, max(1e-3, 1.12 * max([self.intact, *self.accuracies])))
        axis.set_ylabel("accuracy")
        axis.set_title(
            f"Accuracy with one block replaced by its shortcut (dashed: intact, {self.intact:.3f})",
            fontsize=11,
        )
        label_bars(axis, self.names)
        return finish(figure, path)


def lesion(model, data, batch_size=32):
    """Measure the accuracy after replacing each residual block by its shortcut, one at a time.

    Networks with shortcuts lose little with most of their blocks, networks without them all.

    Args:
        model: a built classifier that holds residual blocks of this package, at any depth, with
            scores `[B, K]` as its only output.
        data: `(x, y)`, arrays of all images and their classes, or an iterable of such batches,
            for example a `tf.data.Dataset`; it is gone through once. y is `[B]` classes or
            `[B, K]` one-hot.
        batch_size: int, for arrays.

    Returns:
        `Lesions`.

    Raises:
        ValueError: if the model has no residual block with a shortcut, or `data` no example.

    Reference:
        [Veit et al., 2016, section 4.1](https://arxiv.org/abs/1605.06431)

    Example:

    >>> model = keras_resnet.ResNet((2, 1), block="basic", width=8, stem="3x3", classes=2)
    >>> x = np.random.default_rng(0).standard_normal((8, 8, 8, 3)).astype("float32")
    >>> result = lesion(model, (x, np.argmax(model(x), axis=-1)))
    >>> result.names
    ('stage2_block1', 'stage2_block2', 'stage3_block1')
    >>> result.intact, result.accuracies  # a new network's branches are zero
    (1.0, array([1., 1., 1.]))
    """
    blocks = residual_blocks(model)
    if not blocks:
        raise ValueError(
            "The model has no residual block of this package with a shortcut. "
            f"Received: model {model.name!r}"
        )
    parts = [(part, i) for i, block in enumerate(blocks.values()) for part in ends(block)]
    block_of = {id(part): i for part, i in parts}

    @compiled
    def predictions(values, alive, x):
        def drop(layer, inputs, outputs):
            gone = without_branch(layer, inputs, outputs)
            return ops.where(alive[block_of[id(layer)]], outputs, gone)

        with intercepted([part for part, _ in parts], drop):
            return ops.argmax(call_stateless(model, values, x), axis=-1)

    # Row i lives without block i; the last row is the intact network.
    alive = np.concatenate([~np.eye(len(blocks), dtype=bool), np.ones((1, len(blocks)), bool)])
    values = variable_values(model)
    right, examples = np.zeros(len(alive)), 0
    for x, y in _batches(data, batch_size):
        classes = y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y))
        examples += len(classes)
        for i, row in enumerate(alive):
            predicted = ops.convert_to_numpy(predictions(values, row, x))
            right[i] += (predicted == classes).sum()
    if not examples:
        raise ValueError(f"There is no example to measure with. Received: data={data!r}")
    accuracies = right / examples
    return Lesions(tuple(blocks), accuracies[:-1], float(accuracies[-1]), examples)


def _batches(data, batch_size):
    """Yield (x, y) as NumPy arrays."""
    if isinstance(data, tuple) and len(data) == 2:
        data = batches(data, batch_size)
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise ValueError(
                "A batch must be a pair of images and classes, without sample weights. "
                f"Received: a batch of type {type(batch).__name__}"
            )
        yield tuple(np.asarray(part) for part in batch)
