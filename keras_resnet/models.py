"""The networks of table 1 of He et al. 2015 as functions, with pretrained weights."""

import keras

from keras_resnet.layout import connect
from keras_resnet.preactivation import BLOCKS
from keras_resnet.resnet import ResNet
from keras_resnet.variants import VARIANTS
from keras_resnet.weights import load_weights

_DOC = """Create {name}, {summary}.

    Args:
        include_top: bool, end with the classifier.
        weights: None (random), `"imagenet"`, a name from `keras_resnet.list_weights()`, the path
            of a `.safetensors`, `.weights.h5` or `.keras` file, or `"hf://owner/repository"`.
        input_tensor: a symbolic tensor to build on. If other layers made it, the result is a
            plain `keras.Model` from their inputs.
        input_shape: tuple without the batch; by default `(224, 224, 3)` with the classifier and
            free sizes without.
        pooling: `"avg"`, `"max"` or None, without classifier.
        classes: int, outputs of the classifier.
        classifier_activation: str, callable or None for logits.
        name: str.
        **options: the other arguments of `ResNet`: `stride_in`, `shortcut`, `norm`,
            `zero_init_residual`, `stochastic_depth`, `output_stride`, `stem`, `width`,
            `data_format`, `dtype`.

    Returns:
        A `ResNet`.

    Raises:
        ValueError: for arguments outside these choices, and for weights that do not fit.

    Reference:
        [He et al., 2015, table 1](https://arxiv.org/abs/1512.03385)

    Example:

    >>> model = keras_resnet.{name}(include_top=False, pooling="avg")
    >>> model.output_shape
    (None, {channels})
    """


def _variant(variant):
    """Return the factory of one depth."""
    stage_blocks, block = VARIANTS[variant]
    default_name = variant.lower()

    def factory(
        include_top=True,
        weights=None,
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes=1000,
        classifier_activation="softmax",
        name=default_name,
        **options,
    ):
        has_history = _has_history(input_tensor)
        if has_history:
            input_shape = input_tensor.shape[1:]
        elif input_tensor is None and input_shape is None and include_top:
            data_format = options.get("data_format") or keras.config.image_data_format()
            input_shape = (224, 224, 3) if data_format == "channels_last" else (3, 224, 224)
        model = ResNet(
            stage_blocks,
            block,
            include_top=include_top,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            input_shape=input_shape,
            input_tensor=None if has_history else input_tensor,
            name=name,
            **options,
        )
        if has_history:
            # A ResNet is rebuilt from its own arguments alone, which cannot hold other layers.
            sources = keras.utils.get_source_inputs(input_tensor)
            outputs = connect(input_tensor, **model.architecture)
            model = keras.Model(sources[0] if len(sources) == 1 else sources, outputs, name=name)
        if weights is not None:
            load_weights(model, weights)
        return model

    factory.__name__ = factory.__qualname__ = variant
    factory.__doc__ = _DOC.format(
        name=variant,
        summary=f"with {stage_blocks} {block} blocks",
        channels=512 * BLOCKS[block].expansion,
    )
    return factory


def _has_history(tensor):
    """Tell whether a symbolic tensor is the output of a layer other than `keras.Input`."""
    if not keras.utils.is_keras_tensor(tensor):
        return False
    return not isinstance(tensor._keras_history.operation, keras.layers.InputLayer)


ResNet18 = _variant("ResNet18")
ResNet34 = _variant("ResNet34")
ResNet50 = _variant("ResNet50")
ResNet101 = _variant("ResNet101")
ResNet152 = _variant("ResNet152")
