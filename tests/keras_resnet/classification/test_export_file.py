"""Classifiers as ONNX and LiteRT files, run by the runtimes alone, against the model."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_resnet.model_file import metadata_path
from tests.keras_resnet.classification.test_export_classifier import (
    encoded,
    expected,
    folder,  # noqa: F401  a fixture
    picture,
)

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="files are made of a TensorFlow graph"
)

from keras_resnet.classification.export_file import export_file  # noqa: E402
from keras_resnet.classification.source import open_classifier  # noqa: E402
from keras_resnet.data.evaluation import centre_crop  # noqa: E402

RUNTIMES = {".onnx": "onnxruntime", ".tflite": "ai_edge_litert"}
# Runs where neither TensorFlow nor this package can be imported.
CLIENT = """
import sys
for name in ("tensorflow", "keras", "keras_resnet", "detection"):
    sys.modules[name] = None
import numpy as np

file, crops, answers = sys.argv[1:]
crops = np.load(crops)
if file.endswith(".onnx"):
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    (found,) = session.run(["probabilities"], {"images": crops})
else:
    from ai_edge_litert.interpreter import Interpreter

    found = Interpreter(file).get_signature_runner()(images=crops)["probabilities"]
np.save(answers, found)
"""


@pytest.fixture(params=sorted(RUNTIMES))
def ending(request):
    pytest.importorskip(RUNTIMES[request.param])
    return request.param


@pytest.fixture
def source(folder):  # noqa: F811
    return open_classifier(folder)


def test_files_answer_as_the_model_does(source, ending, tmp_path):
    path = export_file(source, tmp_path / "out" / f"net{ending}")
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, f"{path.name}.json"]
    files = [encoded(picture(50 + 9 * i, 75, i), "PNG") for i in range(5)]
    crops = [np.asarray(picture(50 + 9 * i, 75, i)) for i in range(5)]
    crops = np.stack([centre_crop(image, 40, 32, "bicubic") for image in crops]).astype("float32")
    np.save(tmp_path / "crops.npy", crops)
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, path, tmp_path / "crops.npy", tmp_path / "answers.npy"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = np.load(tmp_path / "answers.npy")
    wanted = expected(source, files)
    assert np.ptp(wanted, axis=0).max() > 0.02
    np.testing.assert_allclose(answers, wanted, atol=1e-5)


def test_metadata(source, ending, tmp_path):
    path = export_file(source, tmp_path / f"net{ending}", samples=[np.asarray(picture(50, 60, 0))])
    facts = json.loads(metadata_path(path).read_text(encoding="utf-8"))
    assert facts["class_names"] == ["cat", "dog", "owl"]
    assert facts["architecture"]["network"] == "ResNet"
    assert facts["architecture"]["options"]["stage_blocks"] == [1, 1]
    assert facts["preprocessing"]["resize"] == 40 and facts["preprocessing"]["crop"] == 32
    assert facts["inputs"]["images"].startswith("float32 [B, 32, 32, 3]")
    assert facts["self_check"]["images"] == 1
    assert facts["self_check"]["max_probability_difference"] < 1e-5
    if ending == ".onnx":
        import onnxruntime

        (tensor,) = onnxruntime.InferenceSession(path).get_inputs()
        assert tensor.name == "images" and tensor.shape[1:] == [32, 32, 3]


def test_a_file_that_answers_otherwise_is_not_published(source, ending, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "keras_resnet.classification.export_file.open_file",
        lambda path: lambda inputs: {"probabilities": np.full((4, 3), 1 / 3, "float32")},
    )
    with pytest.raises(ValueError, match="does not answer as the model does"):
        export_file(source, tmp_path / f"net{ending}")
    assert list(tmp_path.iterdir()) == []


def test_refused(source, ending, tmp_path, monkeypatch):
    present = tmp_path / f"net{ending}"
    present.write_text("mine")
    with pytest.raises(ValueError, match="exists and is never overwritten"):
        export_file(source, present)
    assert present.read_text() == "mine"
    with pytest.raises(ValueError, match=r"says its format: \.onnx or \.tflite"):
        export_file(source, tmp_path / "net.pb")
    with pytest.raises(ValueError, match="At least one sample"):
        export_file(source, tmp_path / f"new{ending}", samples=[])
    package = {".onnx": "tf2onnx", ".tflite": "ai_edge_litert"}[ending]
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=r"pip install 'keras-resnet-detection\[(onnx|litert)\]'"):
        export_file(source, tmp_path / f"new{ending}")
    assert [p.name for p in tmp_path.iterdir()] == [present.name]


def test_operations_that_onnx_does_not_have(tmp_path):
    pytest.importorskip("tf2onnx")
    import tensorflow as tf

    from keras_resnet.model_file import write_file

    def call(tensors):
        return {"bits": tf.bitcast(tensors["images"], tf.int32)}

    with pytest.raises(ValueError, match=r"does not have: export it as a SavedModel.* Bitcast"):
        write_file(call, {"images": tf.TensorSpec([2], tf.float32)}, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
