"""Detectors trained on two devices, or in two processes, are those of one."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import yaml

from tests.detection.coco_folder import tiny_settings, write_coco
from tests.keras_resnet.training.together import outcome, start

SECONDS = 600

PROGRAM = """
import json, sys
import keras, numpy as np
import tensorflow as tf

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from detection.predict import predict_dataset
from keras_resnet.replicas import predict_batch
from keras_resnet.training.devices import choose_jit, data_parallel
from tests.detection.small_model import rectangles, small_model

x, y = rectangles(8, seed=1)
# Replicas whose images have different numbers of samples.
y["classes"][4:6] = -1

class Losses(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        losses.append({name: float(value) for name, value in logs.items()})

found = []
for devices in (1, 2):
    keras.utils.set_random_seed(0)
    losses = []
    with data_parallel(devices, batch_size=4):
        model = small_model(
            backbone={"norm": "sync_batch"}, rpn={"normalize_by": "sampled", "samples": 256}
        )
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), jit_compile=choose_jit())
        batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(4).repeat()
        model.fit(batches, steps_per_epoch=3, verbose=0, callbacks=[Losses()])
        scores = predict_batch(model, {name: value[:4] for name, value in x.items()})["scores"]
    weights = [keras.ops.convert_to_numpy(v).tolist() for v in model.weights]
    found.append({"losses": losses, "weights": weights, "scores": scores.tolist()})
print(json.dumps(found))
"""


def test_two_tensorflow_devices_equal_one():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout.splitlines()[-1])
    assert len(one["losses"]) == 3 and one["losses"][-1]["loss"] < one["losses"][0]["loss"]
    for losses, others in zip(two["losses"], one["losses"], strict=True):
        assert losses == pytest.approx(others, rel=1e-5)
    for value, other in zip(two["weights"], one["weights"], strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(two["scores"], one["scores"], atol=1e-5)


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    train, val = write_coco(tmp_path / "train", 9), write_coco(tmp_path / "val", 3, 1, 201)
    runs = []
    for name, count in (("two", 2), ("one", 1)):
        settings = tiny_settings(train, val, tmp_path / "runs")
        settings["run"]["name"] = name
        settings["train"] |= {"steps": 5, "evaluate_every": 2}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        runs += start("train_detector.py", count, tmp_path / f"{name}.yaml")
    ends = outcome(runs, SECONDS)
    assert [code for code, _, _ in ends] == [0, 0, 0], ends
    assert all(line.startswith("[Gloo]") for line in ends[1][1].splitlines())
    two, one = (tmp_path / "runs" / name for name in ("two", "one"))
    assert sorted(p.name for p in two.parent.iterdir()) == ["one", "two"]
    # The names of TensorBoard's files have the time in them.
    files = [
        {str(p.relative_to(folder)) for p in folder.rglob("*") if "tfevents" not in p.name}
        for folder in (one, two)
    ]
    assert files[0] == files[1]
    tables = []
    for folder in (two, one):
        with (folder / "results.csv").open(newline="") as stream:
            tables.append(list(csv.DictReader(stream)))
    for row, other in zip(*tables, strict=True):
        for column, value in other.items():
            if "time" not in column and value:
                # The table has six digits.
                assert float(row[column]) == pytest.approx(float(value), rel=1e-5, abs=1e-6)
    for kind in ("weights", "optimizer"):
        arrays, others = (
            safetensors.numpy.load((f / f"weights/state/{kind}.safetensors").read_bytes())
            for f in (two, one)
        )
        for name, value in arrays.items():
            np.testing.assert_allclose(value, others[name], rtol=1e-5, atol=1e-5, err_msg=name)
    results = [json.loads((folder / "predictions.json").read_text()) for folder in (two, one)]
    assert len(results[0]) == len(results[1]) > 0
    for found, other in zip(*results):
        assert found["image_id"] == other["image_id"]
        assert found["score"] == pytest.approx(other["score"], abs=1e-4)
    figures = [json.loads((folder / "metrics.json").read_text()) for folder in (two, one)]
    assert figures[0]["AP"] == pytest.approx(figures[1]["AP"], abs=1e-6)
