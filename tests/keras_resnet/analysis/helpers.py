"""Small networks and data for the tests of the analyses."""

import keras
import numpy as np

import keras_resnet


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def small_net(stage_blocks=(2, 2), block="basic", seed=0, **options):
    """A network whose norms have statistics and scales as after some training."""
    # Option A, because the kernel's gradient of a narrow 1x1 convolution with stride 2 crashes
    # TensorFlow 2.21 on some CPUs.
    defaults = {"width": 8, "stem": "3x3", "classes": 5, "shortcut": "zero_pad"}
    options = {**defaults, "zero_init_residual": False, **options}
    keras.utils.set_random_seed(seed)
    model = keras_resnet.ResNet(stage_blocks, block=block, **options)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        name = weight.path.split("/")[-1]
        if name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif name in ("beta", "moving_mean"):
            weight.assign(0.3 * rng.standard_normal(weight.shape))
    return model


def weights_of(model):
    return [np.array(weight) for weight in model.weights]
