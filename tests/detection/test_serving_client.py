"""The client of TensorFlow Serving's REST interface, against a server of the same protocol."""

import ast
import base64
import http.server
import json
import runpy
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest

from detection.export import export_saved_model
from tests.detection.conftest import SCRIPTS
from tests.detection.test_export import encoded, make_model, picture

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)
CLIENT = SCRIPTS / "serving_client.py"


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "shapes"
    samples = [np.asarray(picture(50, 75)), np.asarray(picture(64, 40, seed=2))]
    return export_saved_model(model, path, samples=samples, warmup=True)


@pytest.fixture(scope="module")
def url(exported):
    """Where `shapes` is served as TensorFlow Serving's REST interface does.

    https://www.tensorflow.org/tfx/serving/api_rest: POST /v1/models/NAME[/versions/N]:predict,
    rows of `instances`, binary values as {"b64": ...}, rows of `predictions`.
    """
    import tensorflow as tf

    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            path = self.path.removesuffix(":predict")
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if path not in ("/v1/models/shapes", "/v1/models/shapes/versions/1"):
                self.answer(404, {"error": f"Servable not found for request: {path}"})
                return
            assert list(body) == ["instances"] and self.path.endswith(":predict")
            files = [base64.b64decode(row["b64"], validate=True) for row in body["instances"]]
            outputs = signature(**{name: tf.constant(files)})
            columns = {key: value.numpy().tolist() for key, value in outputs.items()}
            rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
            self.answer(200, {"predictions": rows})

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def client(*arguments):
    return subprocess.run(
        [sys.executable, "-I", str(CLIENT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_needs_python_only():
    tree = ast.parse(CLIENT.read_text(encoding="utf-8"))
    modules = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert {name.split(".")[0] for name in modules} <= set(sys.stdlib_module_names)


def test_answers_are_those_of_the_model(model, exported, url, tmp_path):
    images = {
        "a.jpg": encoded(picture(50, 75), "JPEG"),
        "b.png": encoded(picture(90, 60, 1), "PNG"),
    }
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    paths = [tmp_path / name for name in images]
    facts = exported / "assets" / "detector.json"
    output = tmp_path / "answers.json"
    done = client(
        *paths, "--url", url, "--model", "shapes", "--facts", facts, "--output", output,
        "--score", "0.4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = json.loads(output.read_text(encoding="utf-8"))
    lines = done.stdout.splitlines()
    for path, line in zip(paths, lines, strict=True):
        expected, answer = model.detect(path), answers[str(path)]
        count = answer["num_detections"]
        assert count == len(expected) > 0 and answer["valid"] is True
        np.testing.assert_allclose(answer["boxes"][:count], expected.boxes, atol=0.5)
        np.testing.assert_allclose(answer["scores"][:count], expected.scores, atol=1e-3)
        assert line.startswith(f"{path}: {expected.names[0]} {expected.scores[0]:.2f} (")
        assert line.count("(") == count


def test_functions_for_other_programs(model, url):
    functions = runpy.run_path(str(CLIENT))
    data = [encoded(picture(50, 75, seed), "PNG") for seed in range(3)]
    answers = functions["ask"](url + "/", "shapes", data, version=1)
    assert [a["num_detections"] for a in answers] == [
        len(model.detect(picture(50, 75, seed))) for seed in range(3)
    ]
    classifier = {"probabilities": [0.25, 0.75], "classes": 1, "valid": True}
    assert functions["describe"](classifier, ["cat", "dog"]) == "dog 0.750"
    assert functions["describe"]({**classifier, "classes": 0}) == "class 0 0.250"


def test_what_goes_wrong(url, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    done = client(tmp_path / "text.jpg", "--url", url, "--model", "shapes")
    assert done.returncode == 1 and "could not read this image" in done.stdout
    done = client(tmp_path / "text.jpg", "--url", url, "--model", "other")
    assert done.returncode == 2 and "Servable not found" in done.stderr
    assert "/v1/models/other" in done.stderr and "status 404" in done.stderr
    done = client(tmp_path / "text.jpg", "--url", "http://127.0.0.1:1", "--model", "shapes")
    assert done.returncode == 2 and "Is TensorFlow Serving started" in done.stderr
    done = client(tmp_path / "none.jpg", "--url", url, "--model", "shapes")
    assert done.returncode == 2 and done.stderr.startswith("error: ")


def test_plain_tensorflow(model, exported, tmp_path):
    """The program in docs/export.md, without this package and Keras."""
    text = (SCRIPTS.parent / "docs" / "export.md").read_text(encoding="utf-8")
    (program,) = [
        block.partition("```")[0]
        for block in text.split("```python\n")[1:]
        if "tf.saved_model.load" in block.partition("```")[0]
    ]
    (tmp_path / "photo.jpg").write_bytes(encoded(picture(50, 75), "JPEG"))
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "shapes").symlink_to(exported.parent)
    blocked = "import sys\nfor name in ('keras', 'keras_resnet', 'detection'):\n"
    blocked += "    sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = model.detect(tmp_path / "photo.jpg")
    lines = done.stdout.splitlines()
    assert len(lines) == len(expected)
    assert lines[0].split()[:2] == [expected.names[0], f"{expected.scores[0]:.2f}"]


def test_warmup_requests_are_what_the_server_reads(exported, model):
    """Parsed by the classes of TensorFlow Serving itself."""
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    import tensorflow as tf

    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    serve = tf.saved_model.load(str(exported)).signatures["serving_default"]
    found = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = logs.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "shapes"
        assert request.model_spec.signature_name == "serving_default"
        inputs = {name: tf.constant(tf.make_ndarray(t)) for name, t in request.inputs.items()}
        outputs = serve(**inputs)
        assert outputs["valid"].numpy().tolist() == [True]
        found.append(int(outputs["num_detections"][0]))
    sizes = (50, 75, 0), (64, 40, 2)
    assert found == [len(model.detect(picture(*size))) for size in sizes]
    facts = json.loads((exported / "assets" / "detector.json").read_text(encoding="utf-8"))
    assert facts["warmup_requests"] == 2


def test_too_many_warmup_requests(tmp_path):
    from keras_resnet.warmup import write_warmup

    with pytest.raises(ValueError, match="1000 warm-up requests at most"):
        write_warmup(tmp_path, "shapes", [None] * 1001)
