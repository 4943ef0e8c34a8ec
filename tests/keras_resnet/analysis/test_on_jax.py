"""The same numbers from JAX, in a process where TensorFlow cannot be imported."""

import os
import subprocess
import sys

import numpy as np

from keras_resnet import analysis
from tests.keras_resnet.analysis.helpers import images, small_net

PROGRAM = """
import sys
sys.modules["tensorflow"] = None  # from here on, importing it raises ImportError
import keras, numpy as np
from keras_resnet import analysis
assert keras.config.backend() == "jax"
folder = sys.argv[1]
model = keras.saving.load_model(f"{folder}/model.keras")
data = np.load(f"{folder}/data.npz")
x, y = data["x"], data["y"]
before = [np.array(weight) for weight in model.weights]
norms = analysis.gradient_norms(model, x, y)
counts = analysis.count(model, x.shape[1:])
pruning = analysis.prune_blocks(model, images=x)
cam = analysis.grad_cam(model, x)
lesions = analysis.lesion(model, (x, y))
responses = analysis.layer_responses(model, x)
assert all((np.array(w) == b).all() for w, b in zip(model.weights, before, strict=True))
np.savez(f"{folder}/jax.npz", responses=responses.stds, kernels=norms.kernels,
         outputs=norms.outputs, accuracies=lesions.accuracies, heatmaps=cam.heatmaps,
         macs=counts.macs, removed=pruning.removed, pruned=pruning.model(x))
"""


def test_jax_without_tensorflow_gives_the_same_numbers(tmp_path):
    model = small_net((2, 1))
    block = model.get_layer("stage2_block2")
    for weight in block.norm2.weights[:2]:
        weight.assign(np.zeros(weight.shape))
    x = images(8, 12, 12, 3)
    y = np.argmax(model(x), axis=-1)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, y=y)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    jax = np.load(tmp_path / "jax.npz")
    norms = analysis.gradient_norms(model, x, y)
    ours = {
        "responses": analysis.layer_responses(model, x).stds,
        "kernels": norms.kernels,
        "outputs": norms.outputs,
        "accuracies": analysis.lesion(model, (x, y)).accuracies,
        "heatmaps": analysis.grad_cam(model, x).heatmaps,
        "pruned": np.array(model(x)),
    }
    for name, value in ours.items():
        scale = max(np.abs(value).max(), 1e-9)
        assert np.abs(jax[name] - value).max() <= 1e-3 * scale, name
    assert jax["macs"] == analysis.count(model, x.shape[1:]).macs
    assert jax["removed"].tolist() == ["stage2_block2"]
