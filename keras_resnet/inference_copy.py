"""Copies of trained models for inference: with norms folded, or in another dtype."""

import keras
import numpy as np
from keras import ops

from keras_resnet.channel_bias import ChannelBias
from keras_resnet.normalization import BatchNormalization

_PACKAGES = ("keras_resnet>", "detection>")  # the registered layers that have norms to fold
_BATCH_NORMS = ("batch", "sync_batch", "frozen")


def fold_norms(model):
    """Copy a model with its batch norms folded into the convolutions before them.

    The copy computes the same in inference (up to rounding, below 1e-4 relative in float32) with
    fewer operations. It has no statistics any more: train the original.

    Args:
        model: a built Keras model with layers of these packages, e.g. a `ResNet`, a feature
            extractor or a detector. Frozen batch norms are folded too, group norms are kept. A
            layer takes part if its `units` are pairs of a convolution and a norm and its config
            has a `norm`: blocks, stems, shortcuts, feature pyramids, convolutional box heads.

    Returns:
        A new model of the same class, not compiled.

    Raises:
        ValueError: if `model` is not built.

    Reference:
        [Jacob et al., 2017, section 3.2](https://arxiv.org/abs/1712.05877)

    Example:

    >>> model = keras_resnet.ResNet((1,), block="basic", width=8, stem="3x3", classes=2)
    >>> len(fold_norms(model).non_trainable_weights)
    0
    """
    folded, layers = _rebuild(model, _without_norms)
    for old, new in layers:
        units = getattr(old, "units", None)  # of a dense layer, an int
        if not isinstance(units, tuple):
            continue
        for (_, norm), (conv, bias) in zip(units, new.units, strict=True):
            if isinstance(norm, BatchNormalization):
                _fold(norm, conv, bias)
    return folded


def with_dtype(model, dtype):
    """Copy a model so that all its layers compute in another dtype, for inference.

    Args:
        model: a built Keras model.
        dtype: str, a dtype or a policy such as `"float32"` or `"mixed_bfloat16"`.

    Returns:
        A new model of the same class with equal weights, not compiled.

    Raises:
        ValueError: if `model` is not built.

    Example:

    >>> model = keras_resnet.ResNet((1,), width=8, dtype="mixed_bfloat16", include_top=False)
    >>> with_dtype(model, "float32").output.dtype
    'float32'
    """
    policy = keras.dtype_policies.serialize(keras.dtype_policies.get(dtype))
    # Layers kept in float32 within a 16-bit model stay as they are.
    narrow = {
        layer.dtype_policy.name
        for layer in model._flatten_layers()
        if layer.compute_dtype in ("float16", "bfloat16")
    }
    changed = narrow or {model.dtype_policy.name}

    def change(node):
        if node.get("class_name") == "DTypePolicy" and node["config"]["name"] in changed:
            return policy
        return node

    return _rebuild(model, change)[0]


def _rebuild(model, change):
    """Rebuild a model from its config, and copy the weights of all layers that stay the same.

    Args:
        model: a built Keras model.
        change: function from a dict inside the serialized model to what takes its place.

    Returns:
        (new model, list of all pairs of an old and a new layer).
    """
    if not model.built:
        raise ValueError(
            f"Call the model or its `build` first. Received: {model.name!r}, not built"
        )
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    copy = keras.saving.deserialize_keras_object(_changed(config, change))
    layers = list(zip(model._flatten_layers(), copy._flatten_layers(), strict=True))
    for old, new in layers:
        if old.name != new.name:
            raise ValueError(
                "The model does not rebuild from its config. "
                f"Received: layer {old.name!r}, rebuilt as {new.name!r}"
            )
        has_parts = any(True for _ in old._flatten_layers(include_self=False))
        if not has_parts and not isinstance(new, ChannelBias):
            new.set_weights(old.get_weights())
    return copy, layers


def _changed(config, change):
    if isinstance(config, (list, tuple)):
        return type(config)(_changed(item, change) for item in config)
    if not isinstance(config, dict):
        return config
    return change({key: _changed(value, change) for key, value in config.items()})


def _without_norms(node):
    """Replace the batch norms of a serialized layer of ours."""
    if str(node.get("registered_name", "")).startswith(_PACKAGES):
        norm = node["config"].get("norm")
        if (norm["kind"] if isinstance(norm, dict) else norm) in _BATCH_NORMS:
            folded = {"kind": "folded", "kept": norm}
            return {**node, "config": {**node["config"], "norm": folded}}
    return node


def _fold(norm, conv, bias):
    """Scale the kernel of `conv` and set `bias` so that together they do what `norm` did."""
    gamma, beta, mean, variance = (
        ops.convert_to_numpy(weight).astype("float64")
        for weight in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    conv.kernel.assign(ops.convert_to_numpy(conv.kernel) * scale)
    bias.bias.assign(beta - mean * scale)
