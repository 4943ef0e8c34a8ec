"""Every architecture and option: trains, saves, loads, detects; the same on JAX."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import detection
from detection.config import ModelConfig
from keras_resnet.training.optimizer import SGD
from keras_resnet.training.variable_keys import variable_keys
from tests.detection.small_model import CATEGORIES, rectangles

_ONE_MAP = {
    "anchor_sizes": [[16, 32, 64]],
    "pre_nms": [200, 100],
    "post_nms": [60, 30],
    "samples": 64,
}
_HEADS = {"samples": 16, "score_threshold": 0.0, "max_detections": 20}
_DENSE = {**_HEADS, "hidden": [16]}
_BACKBONE = {
    "stage_blocks": [1, 1, 1],
    "width": 8,
    "stem": {"kernel_size": 3, "stride": 2, "pool": True},
    "zero_init_residual": False,
}


def fpn(backbone=None, **heads):
    return {
        "backbone": {**_BACKBONE, "levels": ["C2", "C3", "C4"], **(backbone or {})},
        "fpn_filters": 16,
        "rpn": {**_ONE_MAP, "anchor_sizes": [[16], [32], [64], [96]]},
        "roi_heads": {**_DENSE, "canonical_size": 64, **heads},
    }


def single(architecture, backbone=None, heads=None, **more):
    return {
        "architecture": architecture,
        "backbone": {**_BACKBONE, **(backbone or {})},
        "rpn": _ONE_MAP,
        "roi_heads": {**(heads or _HEADS), **more},
    }


BOTTLENECK = {"block": "bottleneck", "stride_in": "1x1", "norm": "sync_batch", "freeze": "C2"}
IMPROVED = {"refinements": 1, "voting_iou": 0.5, "nms_threshold": 0.3, "context": True}
ARCHITECTURES = {
    "c4": single("c4"),
    "c4_paper": single(
        "c4", BOTTLENECK, pooling="max", pool_size=6, class_agnostic=True, **IMPROVED
    ),
    "c4_all_frozen": single("c4", {"norm": "frozen", "freeze": "C4"}, pool_size=6),
    "dc5": single("dc5", heads=_DENSE),
    "dc5_cascade": single("dc5", heads=_DENSE, cascade={}),
    "fpn_cascade": fpn(cascade={}, soft_nms={"method": "linear"}),
    "fpn_convolutions": fpn(convolutions=[32, 32], head_norm="group", box_loss="giou"),
    "fpn_sync": fpn(convolutions=[8], head_norm="sync_batch", box_loss="ciou", soft_nms={}),
    "fpn_max": fpn(pooling="max", beta=1.0, **IMPROVED),
    "fpn_adaptive": fpn(sampling_ratio=0, max_samples=2, class_agnostic=True),
}


def build(name):
    keras.utils.set_random_seed(0)
    model = detection.build_model(
        ModelConfig.model_validate(ARCHITECTURES[name]),
        CATEGORIES,
        preprocessing={"min_side": 64, "max_side": 96, "size_divisor": 32},
    )
    # Untrained scores are all but equal, and their order then chance.
    for predictor in getattr(model.roi_heads, "predictors", [model.roi_heads.predictor]):
        predictor.classifier.kernel.assign(np.asarray(predictor.classifier.kernel) * 30)
        predictor.regressor.kernel.assign(np.asarray(predictor.regressor.kernel) * 30)
    model.rpn.objectness.kernel.assign(np.asarray(model.rpn.objectness.kernel) * 30)
    return model


def train(model, **options):
    model.compile(SGD(0.01, momentum=0.9, global_clipnorm=5.0), **options)
    x, y = rectangles(2, size=64)
    return [model.train_on_batch(x, y, return_dict=True) for _ in range(2)]


def trainable_names(model):
    return {name for name, variable in variable_keys(model).items() if variable.trainable}


def detections_of(model):
    found = model.detect(list(rectangles(2, size=64)[0]["images"]))
    return {
        f"{name}_{i}": getattr(part, name)
        for i, part in enumerate(found)
        for name in ("boxes", "scores", "classes")
    }


def outputs_of(model):
    """What the model returns, without a graph."""
    x, _ = rectangles(2, size=64)
    return {name: ops.convert_to_numpy(value) for name, value in model(x).items()}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_trains_saves_loads_and_detects(name, tmp_path):
    model = build(name)
    before = [np.asarray(w) for w in model.trainable_variables]
    # Graphs of them take long to make; see the tests of 16 bits and of JAX.
    for logs in train(model, run_eagerly=True):
        assert np.isfinite(list(logs.values())).all()
        assert logs["loss"] == pytest.approx(sum(logs.values()) - logs["loss"], rel=1e-4)
    changed = [not np.array_equal(a, w) for a, w in zip(before, model.trainable_variables)]
    assert np.mean(changed) > 0.9
    expected = outputs_of(model)
    assert (expected["num_detections"] > 0).all()
    folder = detection.save_model(model, tmp_path / "saved")
    model.save(tmp_path / "model.keras")
    for source, trust in ((folder, False), (tmp_path / "model.keras", True)):
        loaded = detection.load(source, trust=trust)
        assert trainable_names(loaded) == trainable_names(model)
        for key, value in outputs_of(loaded).items():
            np.testing.assert_array_equal(value, expected[key])
    # The images need no resizing.
    for key, value in detections_of(model).items():
        kind, image = key.split("_")
        plain = expected[kind][int(image), : len(value)]
        np.testing.assert_allclose(value, plain, rtol=1e-4, atol=1e-3)
    assert loaded.roi_heads.get_config().keys() == model.roi_heads.get_config().keys()


@pytest.mark.parametrize(
    "name, run_eagerly", [("c4_paper", False), ("fpn_sync", True), ("dc5_cascade", False)]
)
def test_trains_in_16_bits(name, run_eagerly):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(name)
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = rectangles(2, size=64)
    losses = model.compute_losses(x, y, model(x, training=True))
    assert {keras.backend.standardize_dtype(v.dtype) for v in losses.values()} == {"float32"}
    for logs in train(model, run_eagerly=run_eagerly):
        assert np.isfinite(list(logs.values())).all()
    outputs = outputs_of(model)
    assert np.isfinite(outputs["boxes"]).all() and (outputs["num_detections"] > 0).all()


SCRIPT = """
import json, sys
sys.modules["tensorflow"] = None
import numpy as np
import detection
from tests.detection import test_architectures as cases

folder, trained, *names = sys.argv[1:]
logs = {}
for name in names:
    model = detection.load(f"{folder}/{name}")
    np.savez(f"{folder}/{name}.npz", **cases.detections_of(model))
    if name in trained.split(","):
        logs[name] = [{k: float(v) for k, v in log.items()} for log in cases.train(model)]
print(json.dumps(logs))
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares TensorFlow with JAX")
@pytest.mark.parametrize(
    "names, trained",
    [
        (("c4_paper", "dc5_cascade"), ("dc5_cascade",)),
        pytest.param(tuple(ARCHITECTURES), tuple(ARCHITECTURES), marks=pytest.mark.slow),
    ],
    ids=["some", "all"],
)
def test_jax_detects_the_same_and_trains(names, trained, tmp_path):
    expected = {}
    for name in names:
        model = build(name)
        detection.save_model(model, tmp_path / name)
        expected[name] = detections_of(model)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), ",".join(trained), *names],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    logs = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(logs) == set(trained)
    for name in names:
        found = np.load(tmp_path / f"{name}.npz")
        assert len(found["scores_0"]) > 0
        for key, value in expected[name].items():
            pixels = 1e-3 if "boxes" in key else 1e-4
            np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=pixels, err_msg=name)
    for steps in logs.values():
        assert all(np.isfinite(list(log.values())).all() for log in steps)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow exports")
@pytest.mark.parametrize(
    "name",
    ["c4_paper", *(pytest.param(n, marks=pytest.mark.slow) for n in ARCHITECTURES)],
)
def test_the_exported_model_detects_the_same(name, tmp_path):
    import tensorflow as tf

    model = build(name)
    images = rectangles(2, size=64)[0]["images"]
    folder = detection.export_saved_model(model, tmp_path / "model", samples=list(images))
    serve = tf.saved_model.load(str(folder)).signatures["serve_images"]
    served = {key: value.numpy() for key, value in serve(images=tf.constant(images)).items()}
    expected = outputs_of(model)
    np.testing.assert_array_equal(served["num_detections"], expected["num_detections"])
    for key, tolerance in (("boxes", 0.01), ("scores", 1e-4), ("classes", 0)):
        np.testing.assert_allclose(served[key], expected[key], atol=tolerance)


def test_nothing_frozen_moves_and_all_else_does():
    model = build("c4_paper")
    names = {v.path.split("/")[-3] for v in model.backbone.trainable_variables}
    assert not any(name.startswith(("stem", "stage2")) for name in names)
    model = build("c4_all_frozen")
    assert not model.roi_heads.box_head.trainable_variables
    assert not model.backbone.trainable_variables
    train(model, run_eagerly=True)
    for layer in model.roi_heads.box_head.stages:
        assert not layer.trainable


def test_c4_equals_conv5_on_regions_pooled_by_hand():
    from tests.detection.test_roi_align import naive_roi_align

    model = build("c4")
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name == "moving_variance":
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif variable.name in ("beta", "moving_mean"):
            variable.assign(rng.normal(0, 0.3, variable.shape))
    features = rng.standard_normal((1, 8, 8, 16)).astype("float32")
    boxes = np.array([[[3, 5, 50, 40], [0, 0, 64, 64], [20, 1, 30, 9]]], "float32")
    logits, deltas = (ops.convert_to_numpy(t) for t in model.roi_heads([features], boxes))
    (block,) = model.roi_heads.box_head.stages

    def norm(x, layer):
        gamma, beta, mean, variance = (np.asarray(w, "float64") for w in layer.weights)
        return (x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta

    def conv(x, layer, stride):
        """Stride 2 and torch's padding, tap by tap, on `[H, W, C]`."""
        kernel = np.asarray(layer.kernel, "float64")
        half = kernel.shape[0] // 2
        x = np.pad(x, ((half, half), (half, half), (0, 0)))
        size = (x.shape[0] - 2 * half + stride - 1) // stride
        result = np.zeros((size, size, kernel.shape[-1]))
        for y in range(size):
            for z in range(size):
                patch = x[y * stride :, z * stride :][: kernel.shape[0], : kernel.shape[1]]
                result[y, z] = np.tensordot(patch, kernel, 3)
        return result

    for n, box in enumerate(boxes[0]):
        x = naive_roi_align(features[0], box, 8, 14, 2, True)
        branch = np.maximum(norm(conv(x, block.conv1, 2), block.norm1), 0)
        branch = norm(conv(branch, block.conv2, 1), block.norm2)
        ((projection, projection_norm),) = block.shortcut.units
        x = np.maximum(branch + norm(conv(x, projection, 2), projection_norm), 0)
        assert x.shape == (7, 7, 32)
        vector = x.mean(axis=(0, 1))
        for layer, found in (
            (model.roi_heads.classifier, logits),
            (model.roi_heads.regressor, deltas),
        ):
            kernel, bias = (np.asarray(w) for w in layer.weights)
            np.testing.assert_allclose(
                found[0, n].reshape(-1), vector @ kernel + bias, rtol=1e-4, atol=1e-4
            )


def test_dilation_keeps_the_resolution_and_the_weights():
    plain = detection.build_model(
        ModelConfig.model_validate(single("c4", {"stage_blocks": [1, 1, 2]})), CATEGORIES
    )
    dilated = detection.build_model(
        ModelConfig.model_validate(single("dc5", {"stage_blocks": [1, 1, 2]}, _DENSE)), CATEGORIES
    )
    assert dilated.roi_heads.strides == plain.roi_heads.strides == (8,)
    layers = {layer.name: layer for layer in dilated.backbone.layers}
    for layer in plain.roi_heads.box_head.stages:
        other = layers[layer.name]
        assert [w.shape for w in other.weights] == [w.shape for w in layer.weights]
        assert (other.stride, layer.stride) in {(1, 2), (1, 1)}
        assert max(other.dilations) == 2 and max(layer.dilations) == 1


@pytest.mark.parametrize(
    "family, depth, architecture",
    [
        ("ResNetV2", 50, "c4"),
        ("ResNetV2", 18, "dc5"),
        ("ResNetD", 18, "c4"),
        ("SEResNet", 50, "c4"),
    ],
)
def test_other_families(family, depth, architecture):
    config = ModelConfig.model_validate(
        {
            "architecture": architecture,
            "backbone": {"depth": depth, "family": family},
            "roi_heads": _HEADS if architecture == "c4" else _DENSE,
        }
    )
    model = detection.build_model(config, CATEGORIES)
    assert model.roi_heads.strides == (16,)
    if architecture == "c4":
        names = [layer.name for layer in model.roi_heads.box_head.stages]
        assert "stage5_block1" in names and "stem" not in names
        used = [layer.name for layer in model.backbone.layers]
        assert not set(names) & set(used)
        output = model.roi_heads.box_head.compute_output_shape((None, 14, 14, 1024))
        assert output == (None, 512 if depth == 18 else 2048)
