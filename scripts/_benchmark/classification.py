"""Training and inference of classifiers: ours and keras.applications."""

import os
import tempfile
from pathlib import Path

import numpy as np

from _benchmark.harness import elsewhere

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def train(library, dtype, batch=16, size=224, flops=False, quick=False):
    """A training step of ResNet-50 by Keras, all layers, SGD with momentum.

    With `flops` its arithmetic is counted: a forward pass is a third of it.
    """
    import keras

    if quick:
        batch, size = 2, 64
    keras.config.set_dtype_policy(dtype)
    model = resnet50(library, size, quick)
    from keras_resnet.training.devices import choose_jit

    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        "sparse_categorical_crossentropy",
        jit_compile=choose_jit("auto"),
    )
    rng = np.random.default_rng(0)
    x = keras.ops.convert_to_tensor(rng.random((batch, size, size, 3), "float32"))
    y = keras.ops.convert_to_tensor(rng.integers(0, 1000, batch))
    facts = {"images": batch}
    if flops:
        facts["flops"] = 3 * batch * _flops(model)
    return lambda: model.train_on_batch(x, y), facts


def infer(dtype, batch, size=224, quick=False):
    """A forward pass of keras.applications by a TensorFlow graph, as it is offered."""
    import keras
    import tensorflow as tf

    size = 64 if quick else size
    keras.config.set_dtype_policy(dtype)
    model = resnet50("keras.applications", size)
    run = tf.function(lambda x: model(x, training=False))
    x = tf.random.uniform((batch, size, size, 3))
    return lambda: run(x).numpy(), {"images": batch}


def serve(dtype, batch, size=224, quick=False):
    """The exported network, loaded by TensorFlow alone; images arrive decoded and resized."""
    import keras  # noqa: F401  as the peer, so that memory can be compared
    import tensorflow as tf

    size = 64 if quick else size
    with tempfile.TemporaryDirectory() as folder:
        elsewhere("classification:export", folder=folder, dtype=dtype, size=size, quick=quick)
        loaded = tf.saved_model.load(str(Path(folder) / "1"))
    x = tf.random.uniform((batch, size, size, 3))

    def step(model=loaded, run=loaded.signatures["serve"]):
        return run(images=x)["outputs"].numpy()

    return step, {"images": batch}


def export(folder, dtype, size, quick):
    """Writes ResNet-50 as a SavedModel."""
    from keras_resnet.export import export_saved_model

    export_saved_model(resnet50("ours", size, quick), folder, version=1, dtype=dtype)


def device_training(network, dtype, batch=128, images=5000, quick=False):
    """Steps of CIFAR training with images on the device: cropped and flipped in the step."""
    import keras

    from keras_resnet.classification.build import compile_classifier, make_model
    from keras_resnet.classification.config import load_classifier_config
    from keras_resnet.classification.feeds import DeviceFeed
    from keras_resnet.data.arrays import from_arrays

    images, repeats = (500, 1) if quick else (images, 4)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 32, 32, 3), dtype="uint8")
    data = from_arrays(pixels, rng.integers(0, 10, images), [str(i) for i in range(10)])
    config = load_classifier_config(
        f"cifar10_{network}", [f"train.precision={dtype}", f"data.pipeline.batch_size={batch}"]
    )
    keras.config.set_dtype_policy(dtype)
    mean, std = pixels.mean(axis=0, dtype="float64"), np.full(3, 255.0)
    model = make_model(config, data, mean, std)
    feed = DeviceFeed(config.data, model, data, data, seed=0, evaluation_batch=250, fill=128)
    batches = feed.training_batches()
    compile_classifier(config, feed.training_model, 10, batches.steps_per_epoch)
    position = iter(range(10**9))

    def step():
        for _ in range(repeats):
            feed.training_model.train_on_batch(*batches[next(position)])

    return step, {"images": batch * repeats, "flops": 3 * batch * repeats * _flops(model)}


def resnet50(library, size, quick=False):
    """ResNet-50 of `"ours"` or `"keras.applications"`; ours for a quick run has a block a stage."""
    if library == "ours":
        import keras_resnet

        blocks = (1, 1, 1, 1) if quick else (3, 4, 6, 3)
        return keras_resnet.ResNet(blocks, block="bottleneck", input_shape=(size, size, 3))
    import keras

    return keras.applications.ResNet50(weights=None, input_shape=(size, size, 3))


def _flops(model):
    """Of a forward pass for an image: a multiplication and an addition are two."""
    from keras_resnet.analysis.counting import count

    return 2 * count(model).macs
