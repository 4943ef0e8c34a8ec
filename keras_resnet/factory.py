"""Functions that make one network each, with the arguments of `keras.applications`."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_resnet.layout import connect
from keras_resnet.preactivation import BLOCKS
from keras_resnet.resnet import ResNet
from keras_resnet.weights import load_weights

_DOC = """Create {name}, {summary}.

    Args:
        include_top: bool, end with the classifier.
        weights: {weights}
        input_tensor: a symbolic tensor to build on. If other layers made it, the result is a
            plain `keras.Model` from their inputs.
        input_shape: tuple without the batch, of any size; by default `({size}, {size}, 3)` with
            the classifier and free sizes without.
        pooling: `"avg"`, `"max"` or None, without classifier.
        classes: int, outputs of the classifier.
        classifier_activation: str, callable or None for logits.
        name: str.
        **options: the other arguments of `ResNet`: `stride_in`, `shortcut`, `norm`,
            `zero_init_residual`, `squeeze_excitation`, `stochastic_depth`, `output_stride`,
            `stem`, `width`, `data_format`, `dtype`, ...{defaults}

    Returns:
        A `ResNet`.

    Raises:
        ValueError: for arguments outside these choices, and for weights that do not fit.

    Reference:
        {reference}

    Example:

    >>> model = keras_resnet.{name}(include_top=False, pooling="avg")
    >>> model.output_shape
    (None, {channels})
    """


def make_factory(
    name: str,
    row: dict[str, Any],
    *,
    module: str,
    summary: str,
    reference: str,
    weights: str,
    size: int = 224,
    classes: int = 1000,
) -> Callable[..., keras.Model]:
    """Return the function that creates a network.

    Args:
        name: str, its name.
        row: dict of arguments of `ResNet` that differ from its defaults.
        module: str, name of the module that it belongs to.
        summary, reference, weights: str, for the docstring: the rest of the first sentence, the
            source, and what `weights` accepts.
        size: int, side of the default input.
        classes: int, default.

    Returns:
        Function with the arguments of `keras.applications.ResNet50` and of `ResNet`.
    """
    default_classes, default_name = classes, name.lower()

    def factory(
        include_top: bool = True,
        weights: str | os.PathLike[str] | keras.Model | None = None,
        input_tensor: Any = None,
        input_shape: Sequence[int | None] | None = None,
        pooling: str | None = None,
        classes: int = default_classes,
        classifier_activation: str | Callable[[Any], Any] | None = "softmax",
        name: str = default_name,
        **options: Any,
    ) -> keras.Model:
        has_history = _has_history(input_tensor)
        if has_history:
            input_shape = input_tensor.shape[1:]
        elif input_tensor is None and input_shape is None and include_top:
            data_format = options.get("data_format") or keras.config.image_data_format()
            input_shape = (size, size, 3) if data_format == "channels_last" else (3, size, size)
        model = ResNet(
            include_top=include_top,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            input_shape=input_shape,
            input_tensor=None if has_history else input_tensor,
            name=name,
            **{**row, **options},
        )
        if has_history:
            # A ResNet is rebuilt from its own arguments alone, which cannot hold other layers.
            sources = keras.utils.get_source_inputs(input_tensor)
            outputs = connect(input_tensor, **model.architecture)
            model = keras.Model(sources[0] if len(sources) == 1 else sources, outputs, name=name)
        if weights is not None:
            load_weights(model, weights)
        return model

    own = {key: value for key, value in row.items() if key not in ("stage_blocks", "block")}
    listed = ", ".join(f"`{key}={value!r}`" for key, value in own.items())
    stages = len(row["stage_blocks"])
    channels = row.get("width", 64) * 2 ** (stages - 1) * BLOCKS[row["block"]].expansion
    factory.__module__ = module
    factory.__name__ = factory.__qualname__ = name
    factory.__doc__ = _DOC.format(
        name=name,
        summary=summary,
        reference=reference,
        weights=weights,
        size=size,
        defaults=f"\n            Defaults here: {listed}." if listed else "",
        channels=channels,
    )
    return factory


def _has_history(tensor):
    """Tell whether a symbolic tensor is the output of a layer other than `keras.Input`."""
    if not keras.utils.is_keras_tensor(tensor):
        return False
    return not isinstance(tensor._keras_history.operation, keras.layers.InputLayer)
