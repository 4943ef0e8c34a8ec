"""Export of a trained classifier as one file, for ONNX Runtime or LiteRT."""

from keras_resnet.classification.export import (
    crop_samples,
    describe_model,
    expected_probabilities,
    read_samples,
)
from keras_resnet.export import freeze_network
from keras_resnet.export_check import check_difference, choose_tolerance, compare_classes
from keras_resnet.model_file import FORMATS, new_file, open_file, publish_file, write_file
from keras_resnet.saved_model import check_backend


def export_file(source, path, samples=None, tolerance=None):
    """Writes a classifier as an ONNX or a LiteRT file.

    It is written aside, compared with the model on `samples` in the runtime it is for, and only
    then renamed. It computes in float32, with norms folded into the convolutions and the
    normalization inside. `<path>.json` says the names of the classes, how images are prepared, and
    what the comparison found.

    Input: `images` float32 `[B, crop, crop, 3]`, RGB, 0..255: images resized and cropped as for
    evaluation, by whoever runs the file. Output: `probabilities` float32 `[B, K]`.

    Needs optional packages: `pip install 'keras-resnet-detection[onnx]'` or `[litert]`.

    Args:
        source: a `ClassifierSource`, as `open_classifier` returns.
        path: file to write; its ending says the format, `.onnx` or `.tflite`.
        samples: list of images to compare on, paths or uint8 arrays `[H, W, 3]`; `None` for four
            synthetic ones. Real ones make the better check.
        tolerance: greatest difference of a probability that is accepted; `None` for 1e-3.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if the backend is not TensorFlow, a package is not installed, `samples` is
            empty or smaller than the crop, the file exists or has another ending, or a probability
            differs by more than the tolerance.

    Example:

    ```python
    path = export_file(open_classifier("runs/flowers"), "flowers.onnx")
    session = onnxruntime.InferenceSession(path)
    (probabilities,) = session.run(["probabilities"], {"images": crops})
    ```
    """
    check_backend()
    tolerance = choose_tolerance("float32", tolerance)
    path = new_file(path)  # Refuses before any work is done.
    crops = crop_samples(source, read_samples(source, samples))

    def make(file):
        _write(source, file)
        run = open_file(file)
        figures = compare_classes(
            expected_probabilities(source, crops), run({"images": crops})["probabilities"]
        )
        check_difference(figures["max_probability_difference"], tolerance, "a probability")
        check = {"images": len(crops), "tolerance": tolerance, **figures}
        return {**describe_file(source, file), "self_check": check}

    return publish_file(path, make)


def describe_file(source, path):
    """What whoever runs an exported classifier has to know, as plain data for JSON."""
    crop, classes = source.crop, source.model.output_shape[-1]
    return {
        "format": f"classifier as {FORMATS[path.suffix][0]} of keras-resnet-detection",
        **describe_model(source),
        "inputs": {"images": f"float32 [B, {crop}, {crop}, 3]: RGB, 0..255, resized and cropped"},
        "outputs": {"probabilities": f"float32 [B, {classes}]"},
    }


def _write(source, file):
    import tensorflow as tf

    network, _ = freeze_network(source.model)

    def call(tensors):
        return {"probabilities": tf.nn.softmax(network(tensors)["outputs"])}

    shape = [None, source.crop, source.crop, 3]
    write_file(call, {"images": tf.TensorSpec(shape, tf.float32)}, file)
