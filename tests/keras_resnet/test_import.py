"""What `import keras_resnet` brings in beyond `import keras`."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
import keras
before = set(sys.modules)
import keras_resnet
print(json.dumps(sorted(set(sys.modules) - before)))
"""
HEAVY = {
    "PIL",
    "huggingface_hub",
    "keras_cv",
    "matplotlib",
    "pandas",
    "pycocotools",
    "pydantic",
    "safetensors",
    "scipy",
    "tensorflow_datasets",
    "yaml",
}


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_import_is_light(backend):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    added = {module.split(".")[0] for module in json.loads(result.stdout.splitlines()[-1])}
    assert "keras_resnet" in added
    assert not added & HEAVY
    # Keras itself imports either framework only as its backend.
    assert not added & {"tensorflow", "jax", "torch"}
