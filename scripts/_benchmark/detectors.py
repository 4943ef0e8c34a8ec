"""Faster R-CNN on ResNet-50-FPN: training, detection, and its share of post-processing."""

import os
import tempfile
from pathlib import Path

import numpy as np

from _benchmark.accelerator import forward_flops
from _benchmark.detection_data import ground_truth
from _benchmark.harness import elsewhere

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_SMALL = (
    "model.backbone.depth=18",
    "model.fpn_filters=32",
    "model.rpn.pre_nms=[100,100]",
    "model.rpn.post_nms=[50,50]",
    "model.roi_heads.hidden=[64]",
)


def build(height, width, dtype="float32", classes=80, quick=False):
    """The detector of `coco_r50_fpn_1x`, untrained, every layer of it trainable.

    On `_pixels` it scores 2,200 boxes above its threshold, more than trained ones do on most
    images, and returns 100: its post-processing has all there is to do.
    """
    import keras

    from detection.build import build_model
    from detection.config import load_config

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(dtype)
    changes = ["weights=null", "norm=batch", "freeze=null", "zero_init_residual=false"]
    overrides = [f"model.backbone.{change}" for change in changes]
    config = load_config("coco_r50_fpn_1x", [*overrides, *(_SMALL if quick else ())])
    categories = [{"id": i + 1, "name": f"class {i + 1}"} for i in range(classes)]
    sides = {"min_side": min(height, width), "max_side": max(height, width), "size_divisor": 32}
    return build_model(config.model, categories, sides)


def train(
    dtype,
    batch=2,
    height=512,
    width=512,
    boxes=8,
    classes=80,
    flops=False,
    devices=1,
    quick=False,
):
    """A training step by Keras, SGD with momentum.

    With `flops` (by JAX only) its arithmetic is counted: a forward pass is a third of it.
    """
    import keras

    from keras_resnet.training.devices import data_parallel

    if quick:
        height, width = 96, 128
    x = {
        "images": _pixels(batch, height, width),
        "image_sizes": np.tile(np.array([[height, width]], "int32"), (batch, 1)),
    }
    found, labels = ground_truth(height, width, boxes, classes)
    rows = -(-boxes // 8) * 8
    y = {
        "boxes": np.zeros((batch, rows, 4), "float32"),
        "classes": np.full((batch, rows), -1, "int32"),
        "is_crowd": np.zeros((batch, rows), bool),
    }
    y["boxes"][:, :boxes], y["classes"][:, :boxes] = found, labels
    facts = {"images": batch}
    with data_parallel(devices, batch):
        model = build(height, width, dtype, classes, quick)
        # So slow that the untrained network stays as it is.
        model.compile(keras.optimizers.SGD(1e-6, momentum=0.9))
        if flops:
            facts["flops"] = 3 * forward_flops(model, x)
        if devices == 1:  # several get their shares from the host
            x, y = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y))
        model.train_on_batch(x, y)  # traced in here
    return lambda: model.train_on_batch(x, y), facts


def detect(dtype, batch=1, height=800, width=1344, flops=False, quick=False):
    """Detection by JAX, on images that are on the device."""
    import jax
    import keras

    if quick:
        height, width = 96, 128
    model = build(height, width, dtype, quick=quick)
    x = {
        "images": jax.numpy.asarray(_pixels(batch, height, width)),
        "image_sizes": jax.numpy.tile(jax.numpy.asarray([[height, width]]), (batch, 1)),
    }
    # Weights as arguments: as constants of the program they would be copied into it.
    weights = [[v.value for v in group] for group in _variables(model)]
    run = jax.jit(lambda t, n, x: model.stateless_call(t, n, x, training=False)[0])
    facts = {"images": batch}
    if flops:
        facts["flops"] = forward_flops(model, x)
    return lambda: keras.tree.map_structure(np.asarray, run(*weights, x)), facts


def _variables(model):
    return model.trainable_variables, model.non_trainable_variables


def train_backbone(dtype="float32", batch=2, height=512, width=512, quick=False):
    """A training step of keras.applications' ResNet-50 without its top, on the same images."""
    import keras

    if quick:
        height, width = 96, 128
    keras.config.set_dtype_policy(dtype)
    model = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(height, width, 3)
    )
    model.compile(keras.optimizers.SGD(1e-6, momentum=0.9), "mean_squared_error")
    x = keras.ops.convert_to_tensor(_pixels(batch, height, width).astype("float32"))
    y = keras.ops.zeros(model.compute_output_shape((batch, height, width, 3)))
    return lambda: model.train_on_batch(x, y), {"images": batch}


def backbone(batch=1, height=800, width=1344, quick=False):
    """The forward pass of keras.applications' ResNet-50 without its top, by a graph, float32."""
    import keras
    import tensorflow as tf

    if quick:
        height, width = 96, 128
    model = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(height, width, 3)
    )
    run = tf.function(lambda x: model(x, training=False))
    x = tf.constant(_pixels(batch, height, width), tf.float32)
    return lambda: run(x).numpy(), {"images": batch}


def serve(dtype, batch=1, height=800, width=1344, quick=False):
    """The exported detector on decoded images of the size it works in.

    Decoding is not in the time. Resizing is, but it has nothing to change; the images are padded
    to a multiple of 32, which they are.
    """
    import keras  # noqa: F401  as the peer, so that memory can be compared
    import tensorflow as tf

    if quick:
        height, width = 96, 128
    with tempfile.TemporaryDirectory() as folder:
        options = {"folder": folder, "dtype": dtype, "height": height, "width": width}
        elsewhere("detectors:export", **options, quick=quick)
        loaded = tf.saved_model.load(str(Path(folder) / "1"))
    images = tf.constant(_pixels(batch, height, width))

    def step(model=loaded, run=loaded.signatures["serve_images"]):
        return run(images=images)["boxes"].numpy()

    return step, {"images": batch}


def export(folder, dtype, height, width, quick):
    """Writes the detector as a SavedModel."""
    from detection.export import export_saved_model

    model = build(height, width, quick=quick)
    samples = list(_pixels(1, height, width))
    # Of random weights, which boxes come out is decided by the last digits.
    tolerance = None if dtype == "float32" else 0.999
    export_saved_model(model, folder, version=1, samples=samples, dtype=dtype, tolerance=tolerance)


def networks(dtype, batch=1, height=800, width=1344, quick=False):
    """What of the exported detector is convolutions and dense layers, and nothing else.

    Backbone, pyramid, the RPN's convolutions and the second stage's layers, the latter on regions
    that are given: no proposals, no suppression, no pooling of regions. The rest of the time of
    the exported detector is post-processing.
    """
    import keras
    import tensorflow as tf

    from keras_resnet.inference_copy import fold_norms
    from keras_resnet.inference_graph import SPATIAL, freeze

    if quick:
        height, width = 96, 128
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[dtype]
    model = fold_norms(build(height, width, policy, quick=quick))
    heads, channels = model.roi_heads, model.neck.filters
    regions = (batch * model.rpn.post_nms[1], heads.pooler.size, heads.pooler.size, channels)

    class Networks(keras.Model):
        def call(self, inputs):
            sizes = tf.tile([[height, width]], [batch, 1])
            maps = model.feature_maps({"images": inputs["images"], "image_sizes": sizes})
            objectness, deltas = model.rpn(maps)
            logits, offsets = heads.predictor(heads.box_head(inputs["pooled"]))
            return {
                "objectness": tf.concat(objectness, 1),
                "deltas": tf.concat(deltas, 1),
                "logits": logits,
                "offsets": offsets,
            }

    # As the detector: a model whose inputs and weights each layer casts for itself.
    networks = Networks(autocast=False)

    def run(images, pooled):
        return networks({"images": images, "pooled": pooled})

    shape = (batch, height, width, 3)
    pooled = tf.random.uniform(regions, dtype=tf.as_dtype(model.roi_heads.compute_dtype))
    signature = {
        "images": tf.TensorSpec(shape, tf.float32),
        "pooled": tf.TensorSpec(regions, pooled.dtype),
    }
    inputs = {"images": tf.constant(_pixels(batch, height, width), tf.float32), "pooled": pooled}
    frozen, _ = freeze(run, signature, SPATIAL)  # as the exported detector has its weights
    return lambda: frozen(inputs)["logits"].numpy(), {"images": batch}


def _pixels(batch, height, width):
    """Pictures of soft shapes: an untrained network finds different things in their parts."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (batch, height // 16 + 1, width // 16 + 1, 3), "uint8")
    return np.repeat(np.repeat(coarse, 16, axis=1), 16, axis=2)[:, :height, :width]
