"""Which pixels speak for a class: Grad-CAM."""

import contextlib
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
from keras_resnet.analysis.figures import finish, new_figure
from keras_resnet.analysis.intercept import intercepted, sublayers, swapped

_POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_POOLING += (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)


@dataclasses.dataclass(frozen=True)
class GradCam:
    """Heat maps of images.

    Attributes:
        heatmaps: float32 array `[B, H, W]` of the images' size, 0 to 1; all zero where nothing in
            the image speaks for the class.
        coarse: float32 array `[B, h, w]`, the same before enlarging, not scaled to 1.
        classes: int array `[B]`, the class each map is about.
        scores: float32 array `[B]`, its score, before a softmax or sigmoid.
        layer: str, path of the layer whose features were looked at.
        images: array `[B, H, W, C]`, the images as given, channels last.
    """

    heatmaps: np.ndarray
    coarse: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    layer: str
    images: np.ndarray

    def draw(self, path=None, columns=4):
        """Draw the images and their heat maps over them.

        Args:
            path: str or path of the picture, whose suffix decides the format; None writes none.
            columns: int, images in a row.

        Returns:
            The matplotlib figure.
        """
        count = len(self.images)
        columns = min(columns, count)
        rows = -(-count // columns)
        figure, axes = new_figure(2 * rows, columns, (2.6 * columns, 5.4 * rows))
        for axis in axes.flat:
            axis.set_axis_off()
        for i in range(count):
            picture = _displayable(self.images[i])
            above, below = axes[2 * (i // columns) : 2 * (i // columns) + 2, i % columns]
            above.imshow(picture, interpolation="nearest")
            above.set_title(f"class {self.classes[i]}, score {self.scores[i]:.2f}", fontsize=9)
            below.imshow(picture, interpolation="nearest")
            below.imshow(self.heatmaps[i], cmap="jet", alpha=0.45, vmin=0, vmax=1)
        return finish(figure, path)


def grad_cam(model, images, class_index=None, layer=None):
    """Map how much each place of an image speaks for a class.

    The features of a layer, weighted by the mean gradient of the class's score by their channel,
    summed over the channels, without what is negative. The score is the one before a final softmax
    or sigmoid, where a layer applies that.

    Args:
        model: a built Keras classifier of any kind, with `[B, K]` as its only output; its layers
            may be in nested models.
        images: array `[B, H, W, C]` (`[B, C, H, W]`) as the model wants it.
        class_index: int, or array `[B]`; None for the class with the highest score.
        layer: the layer to look at: its name, its path with the names of what it is in
            ("backbone/stage5_block3"), or the layer itself. None takes the last one with a feature
            map that is larger than 1x1 and no pooling.

    Returns:
        `GradCam`.

    Raises:
        ValueError: for an unknown or ambiguous layer, one without a feature map, a class that the
            model does not have, or another kind of output.

    Reference:
        [Selvaraju et al., 2017, section 3](https://arxiv.org/abs/1610.02391)

    Example:

    >>> model = keras_resnet.ResNet((1, 1), block="basic", width=8, stem="3x3", classes=3)
    >>> x = np.random.default_rng(0).standard_normal((2, 16, 16, 3)).astype("float32")
    >>> cam = grad_cam(model, x, class_index=2)
    >>> cam.layer, cam.heatmaps.shape, cam.coarse.shape
    ('stage3_block1', (2, 16, 16), (2, 8, 8))
    """
    images = np.asarray(images)
    values = variable_values(model)
    calls, outputs = _dry_run(model, values, images)
    if len(outputs.shape) != 2:
        raise ValueError(
            "The model must return scores [B, K]; build one on the output you mean. "
            f"Received: model {model.name!r} with outputs of shape {tuple(outputs.shape)}"
        )
    if class_index is not None:
        class_index = np.broadcast_to(np.asarray(class_index), (len(images),))
        if class_index.min() < 0 or class_index.max() >= outputs.shape[-1]:
            raise ValueError(
                f"The model has the classes 0 to {outputs.shape[-1] - 1}. "
                f"Received: class_index={class_index.tolist()}"
            )
    path, number = _choose(calls, layer, model)
    target = calls[number]
    # Layers that end the model with a squashing function are to return what goes into it.
    squashing = [call.layer for call in calls if call.outputs is outputs and _squashes(call.layer)]

    def forward(differentiated):
        seen, features = [], []

        def probe(_, inputs, outputs):
            seen.append(None)
            if len(seen) - 1 != target.number:
                return outputs
            features.append(outputs)
            # A zero added to the features has the gradient of the features.
            return outputs + differentiated[0]

        with contextlib.ExitStack() as stack:
            for last in squashing:
                stack.enter_context(_unsquashed(last))
            stack.enter_context(intercepted([target.layer], probe))
            scores = ops.cast(call_stateless(model, values, images), "float32")
        chosen = ops.argmax(scores, axis=-1) if class_index is None else class_index
        chosen = ops.cast(chosen, "int32")
        picked = ops.sum(scores * ops.one_hot(chosen, scores.shape[-1]), axis=-1)
        return ops.sum(picked), (features[0], chosen, picked)

    zeros = ops.zeros(target.shape, target.dtype)
    _, (features, classes, scores), (gradient,) = value_and_gradients(forward, [zeros])
    if _channels_first(model, target.layer):
        features, gradient = (np.moveaxis(a, 1, -1) for a in (features, gradient))
    if _channels_first(model, model):
        images = np.moveaxis(images, 1, -1)
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    coarse = np.maximum((weights * features).sum(axis=-1), 0).astype("float32")
    return GradCam(
        _enlarged(coarse, images.shape[1:3]),
        coarse,
        np.asarray(classes),
        np.asarray(scores),
        path,
        images,
    )


@dataclasses.dataclass(frozen=True)
class _Call:
    path: str
    layer: object
    number: int
    """How often the layer had run before."""
    outputs: object
    shape: tuple
    dtype: str


def _dry_run(model, values, images):
    """Return the calls of all layers that return one tensor, as they end, and the outputs."""
    layers = sublayers(model)
    path_of = {id(layer): path for path, layer in layers.items()}
    calls, times, final = [], {}, []

    def note(layer, inputs, outputs):
        number = times[id(layer)] = times.get(id(layer), -1) + 1
        if ops.is_tensor(outputs):
            shape = tuple(outputs.shape)
            calls.append(_Call(path_of[id(layer)], layer, number, outputs, shape, outputs.dtype))
        return outputs

    def run(x):
        with intercepted(layers.values(), note):
            final.append(call_stateless(model, values, x))

    trace(run, images)
    if not ops.is_tensor(final[-1]):
        raise ValueError(
            "The model must have one output, scores [B, K]. "
            f"Received: model {model.name!r} with outputs {final[-1]!r}"
        )
    return calls, final[-1]


def _choose(calls, layer, model):
    """Return the path of the layer that is meant, and the index of its last call."""
    maps = [i for i, call in enumerate(calls) if len(call.shape) == 4]
    if layer is None:
        for i in reversed(maps):
            call = calls[i]
            first = 2 if _channels_first(model, call.layer) else 1
            if max(call.shape[first : first + 2]) > 1 and not isinstance(call.layer, _POOLING):
                return call.path, i
        raise ValueError(
            "The model has no feature map larger than 1x1; pass larger images. "
            f"Received: model {model.name!r}"
        )
    wanted = {
        calls[i].path: i
        for i in maps
        if calls[i].layer is layer
        or (isinstance(layer, str) and f"/{calls[i].path}".endswith(f"/{layer}"))
    }
    if isinstance(layer, str) and layer in wanted:
        wanted = {layer: wanted[layer]}
    if len(wanted) != 1:
        what = "several layers of that name" if wanted else "no such layer with a feature map"
        known = ", ".join(wanted or dict.fromkeys(calls[i].path for i in maps[-5:]))
        raise ValueError(
            f"The model has {what}; pass a path such as {known}. "
            f"Received: layer={layer if isinstance(layer, str) else layer.name!r}"
        )
    return next(iter(wanted.items()))


def _squashes(layer):
    squashing = (keras.activations.softmax, keras.activations.sigmoid)
    is_softmax = isinstance(layer, keras.layers.Softmax)
    return is_softmax or getattr(layer, "activation", None) in squashing


def _unsquashed(layer):
    """Make a layer return what goes into its softmax or sigmoid, inside a `with` statement."""
    if isinstance(layer, keras.layers.Softmax):
        return intercepted([layer], lambda layer, inputs, outputs: inputs)
    return swapped(layer, "activation", keras.activations.linear)


def _channels_first(model, layer):
    """Tell whether a layer has channels first; one that does not know is as the others are."""
    for one in (layer, *sublayers(model).values()):
        if hasattr(one, "data_format"):
            return one.data_format == "channels_first"
    return keras.config.image_data_format() == "channels_first"


def _enlarged(coarse, size):
    maps = ops.image.resize(coarse[..., None], size, "bilinear", data_format="channels_last")
    maps = np.maximum(ops.convert_to_numpy(maps)[..., 0], 0)
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)


def _displayable(image):
    """Stretch an image to 0..1; its scale may be that of any preprocessing."""
    image = np.asarray(image, "float32")
    image = image if image.shape[-1] in (1, 3) else image.mean(axis=-1, keepdims=True)
    low, high = image.min(), image.max()
    image = (image - low) / max(high - low, 1e-12)
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
