"""The table of cases."""

from _benchmark.harness import Case, Side

CPU, CIFAR, STARTUP = "cpu", "cifar", "startup"


def _train(dtype, target):
    options = {"dtype": dtype}
    return Case(
        f"ResNet-50 train, batch 16, 224, {dtype}",
        CPU,
        Side("classification:train", {"library": "ours", **options}),
        Side("classification:train", {"library": "keras.applications", **options}),
        target,
    )


CASES = [
    _train("float32", 1.45),
    _train("mixed_bfloat16", 2.0),
    Case(
        "ResNet-50 train, batch 16, 224, mixed_bfloat16, beside torchvision",
        "torchvision",
        Side("classification:train", {"library": "ours", "dtype": "mixed_bfloat16"}),
        Side("classification:train_torchvision", {"dtype": "mixed_bfloat16"}),
    ),
    Case(
        "ResNet-20 for CIFAR, batch 128, images on the device, float32",
        CIFAR,
        Side("classification:device_training", {"network": "resnet20", "dtype": "float32"}),
    ),
    Case(
        "ResNet-20 for CIFAR, batch 128, images on the device, mixed_bfloat16",
        CIFAR,
        Side("classification:device_training", {"network": "resnet20", "dtype": "mixed_bfloat16"}),
    ),
    Case(
        "import keras_resnet after keras",
        STARTUP,
        Side("startup:import_time", {"package": "keras_resnet"}),
        target=0.1,
        compare="seconds",
    ),
    Case(
        "import detection after keras",
        STARTUP,
        Side("startup:import_time", {"package": "detection"}),
        target=0.2,
        compare="seconds",
    ),
]

SUITES = tuple(dict.fromkeys(case.suite for case in CASES))
