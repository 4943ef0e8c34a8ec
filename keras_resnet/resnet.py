"""ResNet, a functional `keras.Model` with its own config."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet._arguments import choose, standardize_data_format
from keras_resnet.features import last_layers
from keras_resnet.frozen_parts import freeze_paths, frozen_paths
from keras_resnet.layout import check_stages, connect, make_input
from keras_resnet.preprocessing import STYLES, warn_of_inputs
from keras_resnet.shortcuts import of_earlier, starts_at_zero


@keras.saving.register_keras_serializable(package="keras_resnet")
class ResNet(keras.Model):
    """A residual network: a stem, stages of residual blocks, and optionally a classifier.

    A functional model. Its layers are `stem`, `stage2_block1`, `stage2_block2`, …, `avg_pool` and
    `predictions`; the output of stage k is the feature map "Ck" of `feature_extractor`. Stage k
    has `width * 2**(k - 2)` filters per block, and every stage but the first halves the image.
    The constructor opens no file: pretrained weights are for `ResNet50` and the like, or
    `keras_resnet.load_weights`.

    Args:
        stage_blocks: tuple of ints, blocks per stage.
        block: `"bottleneck"`, `"basic"`, or their pre-activation forms `"preact_bottleneck"` and
            `"preact_basic"`; after these, layers `post_norm` and `post_relu` end the last stage.
        width: int, channels of the stem and filters of the first stage.
        stem: `"imagenet"` (7x7 convolution of stride 2, max-pool of stride 2), `"3x3"` (one 3x3
            convolution of stride 1, for small images), `"imagenet_v2"` and `"3x3_v2"` (the same
            without norm and ReLU, for pre-activation blocks), `"deep"` (three 3x3 convolutions and
            the max-pool), or a dict of `kernel_size`, `stride`, `pool`, `normalize` and `deep`;
            keys left out are those of `"3x3"`.
        shortcut: `"projection"` (option B of the paper), `"zero_pad"` (A), `"projection_all"` (C),
            `"avg_pool"` (B that averages pixels, "ResNet-D"), `"max_pool"` (a projection where the
            number of channels changes, every second pixel where only the stride does), `"none"`
            (plain nets) or `"highway"` (gated); or a dict of `"kind"` and its options:
            `{"kind": "zero_pad", "zeros": "end" or "both"}`, `{"kind": "highway", "gate_bias":
            -2.0}`.
        stride_at: `"first"` or `"last"`, the block of a stage that halves the image. With
            `"last"` every stage but the last one does.
        stride_in: the convolution of a bottleneck that carries the stride: `"3x3"` ("v1.5") or
            `"1x1"` (the paper).
        norm: `"batch"`, `"sync_batch"` (statistics over all devices), `"frozen"` (batch norm that
            never changes, to be filled from trained weights), `"group"`, or a dict of `"kind"` and
            its options, for example `{"kind": "group", "groups": 16, "weight_standardization":
            True}`.
        zero_init_residual: bool, start the last scale of every block at zero (pre-activation: the
            last kernel); None for where a shortcut is added, and True only there.
        squeeze_excitation: int or None, channels per hidden unit of squeeze-and-excitation at the
            end of every branch, usually 16.
        stochastic_depth: float, probability of skipping the last block's branch for an image in
            training; it grows linearly from the first block.
        output_stride: int or None. Where a stage would exceed this stride, it dilates its
            convolutions instead of striding.
        include_top: bool, end with average pooling and the classifier.
        classes: int, outputs of the classifier.
        classifier_activation: str, callable or None (logits), computed in float32.
        pooling: `"avg"`, `"max"` or None: pooling of the last feature map without classifier.
        input_shape: tuple without the batch, with None for free sizes; by default free sizes and
            3 channels.
        input_tensor: a `keras.Input` to build on instead.
        data_format: `"channels_last"`, `"channels_first"` or None for Keras' default.
        dtype: str or `keras.DTypePolicy` of all layers; None for the global policy.
        name: str.
        trainable: bool; False freezes every layer.

    Call arguments:
        inputs: images `[B, H, W, 3]`, float or uint8, preprocessed as the weights want.

    Returns:
        With `include_top`, float32 `[B, classes]`; else the last feature map, pooled if asked.

    Raises:
        ValueError: for arguments outside these choices.

    Warns:
        UserWarning: once, if a NumPy array given to the model or to `predict` is plainly not
            preprocessed as the loaded weights want.

    Reference:
        [He et al., 2015, sections 3.3 and 3.4, table 1](https://arxiv.org/abs/1512.03385)

    Example:

    >>> model = keras_resnet.ResNet((1, 1, 1), block="basic", width=16, stem="3x3", classes=10)
    >>> tuple(model(np.zeros((2, 32, 32, 3), "uint8")).shape)
    (2, 10)
    """

    def __init__(
        self,
        stage_blocks: Sequence[int] = (3, 4, 6, 3),
        block: str = "bottleneck",
        *,
        width: int = 64,
        stem: str | dict[str, Any] = "imagenet",
        shortcut: str | None = "projection",
        stride_at: str = "first",
        stride_in: str = "3x3",
        norm: str | dict[str, Any] = "batch",
        zero_init_residual: bool | None = None,
        squeeze_excitation: float | None = None,
        stochastic_depth: float = 0.0,
        output_stride: int | None = None,
        include_top: bool = True,
        classes: int = 1000,
        classifier_activation: str | Callable[[Any], Any] | None = "softmax",
        pooling: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        data_format: str | None = None,
        dtype: Any = None,
        name: str = "resnet",
        trainable: bool = True,
    ) -> None:
        arguments = {
            "stage_blocks": check_stages(stage_blocks),
            "block": block,
            "width": width,
            "stem": stem,
            "shortcut": shortcut,
            "stride_at": stride_at,
            "stride_in": stride_in,
            "norm": norm,
            "zero_init_residual": starts_at_zero(zero_init_residual, shortcut),
            "squeeze_excitation": squeeze_excitation,
            "stochastic_depth": stochastic_depth,
            "output_stride": output_stride,
            "include_top": include_top,
            "classes": classes,
            "classifier_activation": classifier_activation,
            "pooling": pooling,
            "data_format": standardize_data_format(data_format),
            "dtype": keras.dtype_policies.get(dtype),
        }
        images = make_input(input_shape, input_tensor, arguments["data_format"])
        super().__init__(images, connect(images, **arguments), name=name)
        self.dtype_policy = arguments["dtype"]
        if not trainable:
            self.trainable = False
        self._arguments = {**arguments, "input_shape": tuple(images.shape[1:])}

    _warned_of_inputs = False

    def __call__(self, *args, **kwargs):
        self._check_inputs(args[0] if args else None)
        return super().__call__(*args, **kwargs)

    def predict(self, x, *args, **kwargs):
        self._check_inputs(x)
        return super().predict(x, *args, **kwargs)

    def _check_inputs(self, x):
        """Warn once of images that are not preprocessed; tensors are not looked at."""
        if isinstance(x, np.ndarray) and self.preprocessing and not self._warned_of_inputs:
            self._warned_of_inputs = warn_of_inputs(x, self.preprocessing, self.name)

    @property
    def architecture(self):
        """The constructor's arguments as resolved, without the input and the name."""
        arguments = copy.deepcopy(dict(self._arguments))
        del arguments["input_shape"]
        return arguments

    @property
    def preprocessing(self):
        """The `style` of `preprocess_input` that the loaded weights want; None if unknown."""
        return self.get_layer("stem").preprocessing

    @preprocessing.setter
    def preprocessing(self, style):
        if style is not None:
            choose("preprocessing", style, tuple(STYLES))
        self.get_layer("stem").preprocessing = style

    @property
    def pyramid_level_inputs(self):
        """The layers behind the levels P2, P3, … of a feature pyramid, as keras-cv asks for."""
        return {f"P{name[1:]}": layer.name for name, layer in last_layers(self).items()}

    def get_config(self):
        config = copy.deepcopy(dict(self._arguments))
        activation = keras.activations.get(config["classifier_activation"])
        config["classifier_activation"] = keras.activations.serialize(activation)
        config["dtype"] = keras.dtype_policies.serialize(config["dtype"])
        return {
            **config,
            "name": self.name,
            "trainable": self.trainable,
            "frozen": frozen_paths(self),
            "preprocessing": self.preprocessing,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(of_earlier(config))
        # What was frozen stays so, or else a saved optimizer would not fit the reloaded model.
        frozen = config.pop("frozen", ())
        preprocessing = config.pop("preprocessing", None)
        activation = config.get("classifier_activation")
        config["classifier_activation"] = keras.activations.get(activation)
        model = cls(**config)
        freeze_paths(model, frozen)
        model.preprocessing = preprocessing
        return model
