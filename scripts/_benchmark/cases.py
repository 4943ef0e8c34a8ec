"""The table of cases."""

from _benchmark import growth, recipes
from _benchmark.harness import Case, Side

CPU, CIFAR, TORCHVISION, GPU = "cpu", "cifar", "torchvision", "gpu"
_GIB = 2**30
_JAX = {"KERAS_BACKEND": "jax"}
_BF16 = "mixed_bfloat16"


def _train(dtype, target):
    options = {"dtype": dtype}
    return Case(
        f"ResNet-50 train, batch 16, 224, {dtype}",
        CPU,
        Side("classification:train", {"library": "ours", **options}),
        Side("classification:train", {"library": "keras.applications", **options}),
        target,
    )


def _serve(dtype, batch, target):
    # A single image is compared with what keras.applications does at its best, float32.
    own = {"float32": "float32", "bfloat16": _BF16}[dtype]
    peer = "float32" if batch == 1 else own
    beside = "" if peer == own else f", peer {peer}"
    return Case(
        f"ResNet-50 exported, batch {batch}, 224, {dtype}{beside}",
        CPU,
        Side("classification:serve", {"dtype": dtype, "batch": batch}),
        Side("classification:infer", {"dtype": peer, "batch": batch}),
        target,
    )


def _serve_detector(dtype, target):
    return Case(
        f"Faster R-CNN R50-FPN exported, batch 1, 800x1344, {dtype}, "
        "beside the forward pass of a float32 ResNet-50",
        CPU,
        Side("detectors:serve", {"dtype": dtype}),
        Side("detectors:backbone"),
        target,
        "cost",
    )


def _train_detector(dtype, target):
    return Case(
        f"Faster R-CNN R50-FPN train, batch 2, 512x512, all layers, {dtype}, "
        "beside a training step of a float32 ResNet-50",
        CPU,
        Side("detectors:train", {"dtype": dtype}),
        Side("detectors:train_backbone"),
        target,
        "cost",
    )


def _post_processing(dtype):
    return Case(
        f"post-processing of Faster R-CNN R50-FPN 800x1344, {dtype}: share of the time, "
        "beside its convolutions and dense layers alone",
        CPU,
        Side("detectors:serve", {"dtype": dtype}),
        Side("detectors:networks", {"dtype": dtype}),
        0.12,
        "share",
    )


def _import(package, target):
    return Case(
        f"import {package} after import keras",
        CPU,
        Side("startup:import_time", {"package": package}),
        target=target,
        compare="seconds",
    )


def _beside_torchvision(name, ours, theirs, dtype, **options):
    return Case(
        f"{name}, {dtype}, beside torchvision",
        TORCHVISION,
        Side(ours[0], {"dtype": dtype, **ours[1], **options}),
        Side(f"torchvision_peers:{theirs}", {"dtype": dtype, **options}),
    )


def _on_gpu(name, ours, theirs, target, **options):
    """Beside torchvision as it is and compiled, in the same precision."""
    for compiled in (False, True):
        way = "compiled" if compiled else "eager"
        yield Case(
            f"{name}, {_BF16}, beside torchvision {way}",
            GPU,
            Side(ours[0], {"dtype": _BF16, **ours[1], **options, "flops": True}, _JAX, True),
            Side(
                f"torchvision_peers:{theirs}",
                {"dtype": _BF16, **options, "compiled": compiled},
                accelerator=True,
            ),
            target,
        )


def _gpu():
    train = ("classification:train", {"library": "ours"})
    yield Case(
        "product of bfloat16 matrices", GPU, Side("accelerator:matrix_product", {}, _JAX, True)
    )
    yield Case("reading and writing memory", GPU, Side("accelerator:copy", {}, _JAX, True))
    yield from _on_gpu("ResNet-50 train, batch 256, 224", train, "train_classifier", 1.0, batch=256)
    size = {"height": 800, "width": 1216}
    for batch in (8, 16):
        name = f"batch {batch}, 800x1216"
        yield from _on_gpu(
            f"Faster R-CNN R50-FPN train, {name}",
            ("detectors:train", {}),
            "train_detector",
            2.0,
            batch=batch,
            **size,
        )
        yield from _on_gpu(
            f"Faster R-CNN R50-FPN inference, {name}",
            ("detectors:detect", {}),
            "infer_detector",
            1.5,
            batch=batch,
            **size,
        )


def _cifar(dtype):
    options = {"network": "resnet20", "dtype": dtype}
    return Case(
        f"ResNet-20 for CIFAR, batch 128, images on the device, {dtype}",
        CIFAR,
        Side("classification:device_training", options),
    )


def _torchvision():
    serve = {"float32": "float32", _BF16: "bfloat16"}
    for dtype in ("float32", _BF16):
        yield _beside_torchvision(
            "ResNet-50 train, batch 16, 224",
            ("classification:train", {"library": "ours"}),
            "train_classifier",
            dtype,
        )
        yield _beside_torchvision(
            "Faster R-CNN R50-FPN train, batch 2, 512x512, all layers",
            ("detectors:train", {}),
            "train_detector",
            dtype,
        )
        for batch in (1, 16):
            yield Case(
                f"ResNet-50 exported, batch {batch}, 224, {dtype}, beside torchvision",
                TORCHVISION,
                Side("classification:serve", {"dtype": serve[dtype], "batch": batch}),
                Side("torchvision_peers:infer_classifier", {"dtype": dtype, "batch": batch}),
            )
        yield Case(
            f"Faster R-CNN R50-FPN exported, batch 1, 800x1344, {dtype}, beside torchvision",
            TORCHVISION,
            Side("detectors:serve", {"dtype": serve[dtype]}),
            Side("torchvision_peers:infer_detector", {"dtype": dtype}),
        )


def _recipes():
    for recipe in recipes.RECIPES:
        for what, verb in (("detect", "detection in one photograph"), ("train", "training step")):
            side = Side(f"recipes:{what}", {"recipe": recipe})
            yield Case(f"{recipe}: {verb}, 640x480 before resizing", "recipes", side)


CASES = [
    _train("float32", 1.45),
    _train(_BF16, 2.0),
    _serve("float32", 1, 1.5),
    _serve("bfloat16", 1, 2.7),
    _serve("float32", 16, 1.1),
    _serve("bfloat16", 16, 1.7),
    _serve_detector("float32", 2.0),
    _serve_detector("bfloat16", 1.15),
    _train_detector("float32", 2.0),
    _train_detector(_BF16, 1.25),
    _post_processing("float32"),
    _post_processing("bfloat16"),
    Case(
        "input pipeline: decode 640x480 JPEG, resize to 1067x800, flip, pad, batch of 4, "
        "beside decoding and resizing alone",
        CPU,
        Side("images:pipeline"),
        Side("images:bare"),
        0.85,
    ),
    Case(
        "COCO annotations, 118,287 images and 860,001 boxes, read and indexed, beside pycocotools",
        CPU,
        Side("annotations:read", {"library": "ours"}),
        Side("annotations:read", {"library": "pycocotools"}),
        1.0,
        max_memory=2 * _GIB,
    ),
    _import("keras_resnet", 0.1),
    _import("detection", 0.2),
    *_torchvision(),
    _cifar("float32"),
    _cifar(_BF16),
    *_gpu(),
    *growth.points(),
    *_recipes(),
]

SUITES = tuple(dict.fromkeys(case.suite for case in CASES))
