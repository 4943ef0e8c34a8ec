"""Trained networks as a SavedModel."""

import importlib.metadata
import json

import keras
import numpy as np
from keras import ops

from keras_resnet.export_check import (
    check_difference,
    choose_tolerance,
    compare_classes,
    compare_outputs,
)
from keras_resnet.inference_copy import fold_norms, with_dtype
from keras_resnet.inference_graph import freeze
from keras_resnet.saved_model import check_backend, next_folder, publish, write

METADATA_FILE = "network.json"
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def export_saved_model(
    model, path, version=None, samples=None, dtype="float32", tolerance=None, constant=True
):
    """Writes a network as a SavedModel that any TensorFlow process can serve.

    The folder `<path>/<version>` has the layout of TensorFlow Serving and needs neither this
    package nor Keras. It is written aside, compared with the model on `samples`, and only then
    renamed, so that it is either complete and right or not there. Norms are folded into the
    convolutions.

    Its signature `serve(images: float32 [B, H, W, 3])`, also called `serving_default`, takes what
    the model takes: for a network of this package images that are **already preprocessed**
    (`preprocess_input`), for a model with a preprocessing of its own images as they are. It returns
    the model's outputs in float32 as `outputs`, or by the names of a model that returns a dict.
    Which preprocessing the weights want and the result of the comparison are in
    `assets/network.json`. For trained classifiers, with class names and encoded images as inputs,
    see `keras_resnet.classification.export.export_classifier`.

    Args:
        model: a built Keras model of one image input, e.g. `keras_resnet.ResNet50(...)` or a
            `feature_extractor`.
        path: folder of the served model; its last part is the name clients know it by.
        version: int above 0; `None` for one more than the greatest in `path`.
        samples: array `[N, H, W, 3]`, inputs to compare on; `None` for four of noise. Real ones
            make the better check.
        dtype: `"float32"`, or `"bfloat16"` for convolutions in 16 bits: about twice as fast on
            processors that have the instructions, weights of half the size. Pooling, classifier and
            softmax stay in float32.
        tolerance: greatest difference from the model in float32 that is accepted: of
            probabilities, or relative to the greatest value of other outputs. `None` for 1e-3 in
            float32 and 0.1 in bfloat16.
        constant: bool, make the weights constants of the graph, fastest for single images of
            usual size (`"spatial"`: the 3x3 kernels only); False keeps them in variables, which
            takes far less memory to load (of ResNet-50, 0.2 instead of 1.8 GB beside TensorFlow)
            and is as fast for batches.

    Returns:
        The folder `<path>/<version>`, a `pathlib.Path`.

    Raises:
        ValueError: if the backend is not TensorFlow, the model is not built or has several inputs,
            the version exists or is not an int above 0, or the outputs differ by more than the
            tolerance.

    Example:

    ```python
    folder = export_saved_model(keras_resnet.ResNet50(weights="imagenet"), "served/resnet50")
    serve = tf.saved_model.load(folder).signatures["serve"]
    probabilities = serve(images=keras_resnet.preprocess_input(images))["outputs"]
    ```
    """
    check_backend()
    tolerance = choose_tolerance(dtype, tolerance)
    next_folder(path, version)  # Refuses before any work is done.
    shape = _image_shape(model)
    if samples is None:
        height, width, channels = (size or 224 for size in shape)
        samples = np.random.default_rng(0).normal(0, 1, (4, height, width, channels))
    samples = np.asarray(samples, "float32")
    if samples.ndim != 4 or not len(samples):
        raise ValueError(
            "`samples` must be a batch of at least one image, [N, H, W, 3]. "
            f"Received: shape={samples.shape}"
        )

    def make(folder):
        import tensorflow as tf

        frozen, variables = freeze_network(model, dtype, constant)

        @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32, name="images")])
        def serve(images):
            return frozen({"images": images})

        write(folder, {"serving_default": serve, "serve": serve}, variables)
        check = _check(model, folder, samples, tolerance)
        facts = {**_describe(model, dtype), "constant_weights": constant}
        return {**facts, "self_check": check}

    return publish(path, version, make, METADATA_FILE)


def freeze_network(model, dtype="float32", constant=True):
    """The model as a TensorFlow function for inference, with norms folded.

    Args:
        model: a built Keras model of one image input.
        dtype: `"float32"` or `"bfloat16"`, of the convolutions.
        constant: as for `keras_resnet.inference_graph.freeze`.

    Returns:
        `(call, variables)` as of `freeze`: from `{"images": float32 [B, H, W, C]}` to a dict of
        float32 tensors: `outputs`, or what a model that returns a dict does.
    """
    import tensorflow as tf

    copy = fold_norms(with_dtype(model, _POLICIES[dtype]))
    copy.autocast = False  # images lose digits in 16 bits; layers cast for themselves

    def call(images):
        return {k: tf.cast(v, tf.float32) for k, v in _named(copy(images, training=False)).items()}

    signature = {"images": tf.TensorSpec([None, *_image_shape(model)], tf.float32)}
    return freeze(call, signature, constant)


def _image_shape(model):
    if not model.built:
        raise ValueError(
            f"Call the model or its `build` first. Received: {model.name!r}, not built"
        )
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        shapes = [tuple(tensor.shape) for tensor in model.inputs]
        raise ValueError(
            f"A model of one input, a batch of images, can be exported. Received: inputs {shapes}"
        )
    return tuple(model.inputs[0].shape[1:])


def _named(outputs):
    if isinstance(outputs, dict):
        return outputs
    if isinstance(outputs, (list, tuple)):
        return {f"output_{index}": value for index, value in enumerate(outputs)}
    return {"outputs": outputs}


def _check(model, folder, samples, tolerance):
    """Compares the signature in a folder with the model in float32."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(folder)).signatures["serve"]
    served = {name: value.numpy() for name, value in serve(images=tf.constant(samples)).items()}
    reference = with_dtype(model, "float32")
    expected = _named(reference(samples, training=False))
    expected = {name: ops.convert_to_numpy(value) for name, value in expected.items()}
    check = {"images": len(samples), "tolerance": tolerance, **compare_outputs(expected, served)}
    if _gives_probabilities(model):
        check |= compare_classes(expected["outputs"], served["outputs"])
        check_difference(check["max_probability_difference"], tolerance, "a probability")
    else:
        check_difference(check["max_relative_difference"], tolerance, "an output, relative,")
    return check


def _gives_probabilities(model):
    activation = getattr(model.layers[-1], "activation", None)
    return not isinstance(model.output, (dict, list)) and activation is keras.activations.softmax


def _describe(model, dtype):
    """What a client of the exported network has to know, as plain data for JSON."""
    style = getattr(model, "preprocessing", None)
    wanted = "as the model takes them" if style is None else f"preprocessed, style {style!r}"
    architecture = json.loads(model.to_json())
    architecture.pop("compile_config", None)
    outputs = {
        name: f"float32 [{', '.join('B' if n is None else str(n) for n in value.shape)}]"
        for name, value in _named(model.output).items()
    }
    return {
        "format": "network SavedModel of keras-resnet-detection",
        "package_version": importlib.metadata.version("keras-resnet-detection"),
        "name": model.name,
        "architecture": architecture,
        "dtype": dtype,
        "preprocessing": style,
        "signatures": {"serve": {"images": f"float32 [B, H, W, C], {wanted}"}},
        "outputs": outputs,
    }
