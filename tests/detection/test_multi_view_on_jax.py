"""Multi-scale testing gives the same on JAX without TensorFlow as on TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import detection
from detection.model_config import ModelConfig
from tests.detection.small_model import CATEGORIES, model_config, rectangles

SCRIPT = """
import sys
sys.modules["tensorflow"] = None
import numpy as np
import detection
from tests.detection import test_multi_view_on_jax as case

np.savez(sys.argv[2], **case.detections_of(detection.load(sys.argv[1])))
"""


def detections_of(model):
    found = model.detect(rectangles(2)[0]["images"][1])
    return {name: getattr(found, name) for name in ("boxes", "scores", "classes")}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares TensorFlow with JAX")
@pytest.mark.parametrize("merge", ["features", pytest.param("boxes", marks=pytest.mark.slow)])
def test_jax_detects_the_same(tmp_path, merge):
    pytest.importorskip("jax")
    keras.utils.set_random_seed(0)
    values = model_config(
        rpn={"pre_nms": [20, 20], "post_nms": [10, 10]},
        roi_heads={"hidden": [16], "score_threshold": 0.0, "voting_iou": 0.5, "max_detections": 20},
    ).model_dump()
    values["test_time"] = {"scales": [48, 64], "flip": True, "merge": merge}
    preprocessing = {"min_side": 64, "max_side": 128, "size_divisor": 32}
    model = detection.build_model(ModelConfig(**values), CATEGORIES, preprocessing)
    # Untrained scores are all but equal, and their order then chance.
    for layer in (model.roi_heads.classifier, model.rpn.objectness):
        kernel, bias = layer.get_weights()
        layer.set_weights([30 * kernel, bias])
    detection.save_model(model, tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "model"), str(tmp_path / "found.npz")],
        # Most of the time would go into XLA's optimizations of a program that runs once.
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found, expected = np.load(tmp_path / "found.npz"), detections_of(model)
    assert len(expected["scores"]) > 5
    np.testing.assert_array_equal(found["classes"], expected["classes"])
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-4)
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=2e-3)
