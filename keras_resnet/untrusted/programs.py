"""Files that hold programs rather than weights."""

import os

from keras_resnet.untrusted.errors import UntrustedFileError

_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
_SUFFIXES = {
    (".h5", ".hdf5"): (
        "A whole model in HDF5 is rebuilt from a description that may hold Python code, and Keras "
        "has no safe mode for this old format. Save it as a `.keras` file where it was made; "
        "weights alone, a `.weights.h5`, load with `keras_resnet.load_weights`"
    ),
    (".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".joblib", ".bin"): (
        "Pickles are not read: reading one runs the code in it. Convert it to `.safetensors`, see "
        "scripts/convert_weights.py"
    ),
    (".pb", ".pbtxt", ".onnx", ".tflite"): (
        "It is a program, not a model with parameters. Load it with the runtime it was made for"
    ),
}


def refuse_program(path):
    """Refuses what runs code when it is loaded, or when it is used.

    Args:
        path: path of a file or folder, which is not opened.

    Raises:
        UntrustedFileError: saying why, and what to do.
    """
    path = os.fspath(path)
    for name in _SAVED_MODEL:
        if os.path.isfile(os.path.join(path, name)):
            raise UntrustedFileError(
                "A SavedModel is a program of TensorFlow, which can read and write any file: it "
                "is not loaded. Serve those that you made yourself (evaluate_detector.py takes "
                "those of detectors); for all else give the run folder it was exported from. "
                f"Received: {path!r}"
            )
    for suffixes, reason in _SUFFIXES.items():
        if path.lower().endswith(suffixes) and not path.lower().endswith(".weights.h5"):
            raise UntrustedFileError(f"{reason}. Received: {path!r}")
