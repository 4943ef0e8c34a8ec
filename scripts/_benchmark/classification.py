"""Training and inference of classifiers: ours, keras.applications, torchvision."""

import os

import numpy as np

from _benchmark.harness import Unavailable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def train(library, dtype, batch=16, size=224, quick=False):
    """A training step of ResNet-50 by Keras, all layers, SGD with momentum."""
    import keras

    if quick:
        batch, size = 2, 64
    keras.config.set_dtype_policy(dtype)
    model = _keras_resnet50(library, size)
    from keras_resnet.training.devices import choose_jit

    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        "sparse_categorical_crossentropy",
        jit_compile=choose_jit("auto"),
    )
    rng = np.random.default_rng(0)
    x = keras.ops.convert_to_tensor(rng.random((batch, size, size, 3), "float32"))
    y = keras.ops.convert_to_tensor(rng.integers(0, 1000, batch))
    return lambda: model.train_on_batch(x, y), {"images": batch}


def train_torchvision(dtype, batch=16, size=224, compiled=False, quick=False):
    """The same by torchvision, channels last."""
    try:
        import torch
        import torchvision
    except ImportError:
        raise Unavailable("torchvision is not installed") from None
    if quick:
        batch, size = 2, 64
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torchvision.models.resnet50().to(device, memory_format=torch.channels_last)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    x = torch.rand(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)
    y = torch.randint(0, 1000, (batch,), device=device)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=dtype != "float32"):
            loss = torch.nn.functional.cross_entropy(run(x).float(), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return step, {"images": batch}


def infer(library, dtype, batch, size=224, quick=False):
    """A forward pass by a TensorFlow graph, as keras.applications offers it."""
    import keras
    import tensorflow as tf

    if quick:
        size = 64
    keras.config.set_dtype_policy(dtype)
    model = _keras_resnet50(library, size)
    run = tf.function(lambda x: model(x, training=False))
    x = tf.random.uniform((batch, size, size, 3))
    return lambda: run(x).numpy(), {"images": batch}


def device_training(network, dtype, batch=128, images=5000, quick=False):
    """Steps of CIFAR training with images on the device: cropped and flipped in the step."""
    import keras

    from keras_resnet.classification.config import load_classifier_config
    from keras_resnet.classification.feeds import DeviceFeed
    from keras_resnet.classification.train import compile_classifier, make_model
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

    return step, {"images": batch * repeats}


def _keras_resnet50(library, size):
    if library == "ours":
        import keras_resnet

        return keras_resnet.ResNet50(input_shape=(size, size, 3))
    import keras

    return keras.applications.ResNet50(weights=None, input_shape=(size, size, 3))
