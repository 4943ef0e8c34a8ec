"""Model, loss and optimizer of a configuration."""

import keras
import numpy as np

import keras_resnet
from keras_resnet.classification.model import build_classifier
from keras_resnet.features import freeze
from keras_resnet.preprocessing import STYLES
from keras_resnet.training.devices import choose_jit
from keras_resnet.training.initialization import initialize_kernels
from keras_resnet.training.recipe import build_recipe_optimizer
from keras_resnet.training.soft_labels import SoftLabelAccuracy, SoftLabelCrossentropy


def make_model(config, dataset, mean, std):
    """The model of a configuration, from images 0..255 to logits, with the weights it starts from.

    Args:
        config: a `ClassifierConfig`.
        dataset: the `ImageDataset` it is trained on.
        mean, std: arrays to normalise by, on the scale 0..255.

    Returns:
        `keras.Model` as `build_classifier` makes it.
    """
    pipeline = config.data.pipeline
    resize, crop = pipeline.eval_size
    size = (pipeline.image_size,) * 2
    if mean.ndim == 3 and not mean.shape[:2] == size == (crop, crop):
        raise ValueError(
            "`data.mean: per_pixel` needs images that have `image_size` in training and evaluation "
            f"already; choose channel. Received: images of {mean.shape[1]} x {mean.shape[0]}, "
            f"image_size={pipeline.image_size}, evaluated at {crop}"
        )
    fixed = mean.ndim == 3 or (dataset.images is not None and resize is None and size[0] == crop)
    model = build_classifier(
        config.model.name,
        config.model.options,
        dataset.class_names,
        image_size=size if fixed else None,
        mean_shape=mean.shape,
        evaluation={"resize": resize, "crop": crop, "interpolation": pipeline.interpolation},
    )
    model.get_layer("normalize").set_values(mean, std)
    network = model.get_layer("network")
    if config.model.weights is not None:
        _load_pretrained(network, config.model)
        _check_preprocessing(network.preprocessing, mean, std)
    if config.model.initializer is not None:
        initialize_kernels(network, config.model.initializer, seed=config.train.seed)
    if config.model.freeze is not None:
        freeze(network, up_to=config.model.freeze)
    return model


def _load_pretrained(network, config):
    """Loads published weights into all but the classifier, which is new."""
    options = {**config.options, "input_shape": network.input_shape[1:]}
    factory = getattr(keras_resnet, config.name)
    source = factory(include_top=False, weights=config.weights, **options)
    for layer in source.layers:
        if layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    network.preprocessing = source.preprocessing


def _check_preprocessing(style, mean, std):
    """Refuses to feed pretrained weights with images normalised otherwise than they expect."""
    if style is None:
        return
    if STYLES[style] is None:
        raise ValueError(
            f"`model.weights` want images in the style {style!r} (BGR), which a classifier that "
            "normalises by mean and standard deviation of RGB does not make; choose other weights."
        )
    expected = 255 * np.array(STYLES[style])
    if not all(np.allclose(own, e, rtol=1e-3) for own, e in zip((mean, std), expected)):
        raise ValueError(
            f"`model.weights` want data.mean={expected[0].tolist()} and "
            f"data.std={expected[1].tolist()}. Received: mean={np.asarray(mean).tolist()}, "
            f"std={np.asarray(std).tolist()}"
        )


def compile_classifier(config, model, classes, steps_per_epoch):
    """Compiles a training model as a configuration says.

    Args:
        config: a `ClassifierConfig`.
        model: `keras.Model` from a batch to logits.
        classes: int.
        steps_per_epoch: int.
    """
    recipe = config.train
    if config.data.pipeline.mixes or recipe.label_smoothing:
        loss = SoftLabelCrossentropy(classes, recipe.label_smoothing)
        metric = SoftLabelAccuracy(name="accuracy")
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        metric = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        build_recipe_optimizer(recipe, config.data.pipeline.batch_size, steps_per_epoch),
        loss=loss,
        metrics=[metric],
        jit_compile=choose_jit(recipe.jit_compile),
        steps_per_execution=recipe.steps_per_execution,
    )
