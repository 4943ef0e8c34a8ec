"""Models as single files for other runtimes: ONNX and LiteRT.

Both are made from the graph that also goes into a SavedModel. The packages that write and run them
are optional.
"""

import contextlib
import json
import os
from pathlib import Path

import numpy as np

from keras_resnet.saved_model import aside

# By the ending of the file: what it is called, and the extra that installs what it needs.
FORMATS = {".onnx": ("ONNX", "onnx"), ".tflite": ("LiteRT", "litert")}
OPSET = 18


def new_file(path, endings=tuple(FORMATS)):
    """Checks the path of a file that shall be written.

    Args:
        path: path.
        endings: sequence of str, those it may have.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: another ending, or there is something.
    """
    path = Path(path)
    if path.suffix not in endings:
        raise ValueError(
            f"The ending of the file says its format: {' or '.join(endings)}. "
            f"Received: path={str(path)!r}"
        )
    if path.exists():
        raise ValueError(
            f"{path} exists and is never overwritten: choose another name, or delete it. "
            f"Received: path={str(path)!r}"
        )
    return path


def publish_file(path, make):
    """Makes a file aside and renames it when it is complete.

    Args:
        path: as for `new_file`.
        make: function that writes the file to a path, raises if it is not right, and returns what
            its users have to know, a dict for JSON. That gets into `<path>.json`.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: as `new_file`.
    """
    path = new_file(path)
    with aside(path.parent) as folder:
        made, about = folder / path.name, folder / f"{path.name}.json"
        facts = make(made)
        about.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for file in (about, made):
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        new_file(path)  # Another process may have taken it in the meantime.
        os.replace(about, metadata_path(path))
        os.replace(made, path)
    return path


def metadata_path(path):
    """Where what users of a file have to know is, a `pathlib.Path`."""
    path = Path(path)
    return path.with_name(f"{path.name}.json")


def write_file(call, signature, path):
    """Converts a TensorFlow function.

    Args:
        call: what `keras_resnet.inference_graph.freeze` returns, with weights as constants.
        signature: dict from names of its inputs to `tf.TensorSpec`.
        path: `pathlib.Path`, `.onnx` or `.tflite`.

    Raises:
        ValueError: the packages are not installed.
    """
    import tensorflow as tf

    specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in signature.items()]

    @tf.function(input_signature=specs, autograph=False)
    def function(*tensors):
        return call(dict(zip(signature, tensors)))

    with _optional(path.suffix):
        if path.suffix == ".onnx":
            _write_onnx(function, specs, path)
            return
        import ai_edge_litert.interpreter  # noqa: F401  The comparison will need it.
    holder = tf.Module()
    holder.function = function
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], holder
    )
    path.write_bytes(converter.convert())


def _write_onnx(function, specs, path):
    import onnx
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(function, specs, opset=OPSET)
    # What it cannot convert, it copies as it is.
    present = {(node.domain, node.op_type) for node in model.graph.node}
    unknown = sorted(kind for domain, kind in present if not onnx.defs.has(kind, domain=domain))
    if unknown:
        raise ValueError(
            "The model has operations that ONNX does not have: export it as a SavedModel. "
            f"Received: {', '.join(unknown)}"
        )
    onnx.save(model, str(path))


def open_file(path):
    """Opens a file in its runtime.

    Args:
        path: `pathlib.Path`, `.onnx` or `.tflite`.

    Returns:
        Function of a dict of arrays, by name, to a dict of arrays.

    Raises:
        ValueError: the packages are not installed.

    Example:

    ```python
    run = open_file(Path("flowers.onnx"))
    probabilities = run({"images": crops})["probabilities"]
    ```
    """
    path = Path(path)
    with _optional(path.suffix):
        if path.suffix == ".onnx":
            import onnxruntime

            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            names = [output.name for output in session.get_outputs()]
            return lambda inputs: dict(zip(names, session.run(names, inputs)))
        from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    runner = interpreter.get_signature_runner()
    # What it returns lies in memory that the next call uses again.
    return lambda inputs: {name: np.array(value) for name, value in runner(**inputs).items()}


@contextlib.contextmanager
def _optional(ending):
    """Says how to install what is not."""
    try:
        yield
    except ImportError as error:
        name, extra = FORMATS[ending]
        raise ValueError(
            f"{name} needs packages that are optional: "
            f"pip install 'keras-resnet-detection[{extra}]'. Received: {error}"
        ) from None
