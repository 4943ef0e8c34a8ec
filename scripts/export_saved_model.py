"""Exports a trained detector or classifier: SavedModel for TensorFlow Serving, ONNX or LiteRT.

Examples:
  python scripts/export_saved_model.py runs/quickstart served/shapes
  python scripts/export_saved_model.py runs/quickstart served/shapes --dtype bfloat16 --warmup
  python scripts/export_saved_model.py runs/finetune served/flowers --samples a.jpg b.jpg
  python scripts/export_saved_model.py hf://timm/resnet50.tv_in1k resnet50.tflite
  python scripts/export_saved_model.py runs/quickstart shapes.onnx --image-size 128 128
"""

import argparse
import json
from pathlib import Path

from _arguments import only_the_model
from _common import EXIT_CODES, quiet_start, run

# By the ending of the output; anything else is the folder of a SavedModel.
FORMATS = {".onnx": "onnx", ".tflite": "litert"}
# What other formats are called: nobody means a folder by these.
FOREIGN = {
    *(".bin", ".ckpt", ".engine", ".gz", ".h5", ".hdf5", ".jit", ".keras", ".mlmodel", ".npz"),
    *(".mlpackage", ".param", ".pb", ".pickle", ".pkl", ".plan", ".pt", ".pt2", ".pte", ".pth"),
    *(".safetensors", ".tar", ".tf", ".torchscript", ".trt", ".xml", ".zip", *FORMATS),
}
CONSTANT = {"all": True, "spatial": "spatial", "none": False}


def main():
    arguments = _parse()
    kind = _format(arguments)
    quiet_start()
    export = _classifier if _is_classifier(arguments) else _detector
    path, metadata = export(arguments, kind)
    facts = json.loads(metadata.read_text(encoding="utf-8"))
    exact = arguments.dtype == "float32"
    print(f"Exported to {path}; it answers as the model does{'' if exact else ', but for:'}")
    for name, value in facts["self_check"].items():
        print(f"  {name}: {value if isinstance(value, int) else format(value, '.4g')}")
    for name, inputs in facts.get("signatures", {path.name: facts.get("inputs")}).items():
        print(f"  {name}({', '.join(f'{key}: {value}' for key, value in inputs.items())})")
    for name, meaning in facts["outputs"].items():
        print(f"    {name}: {meaning}")
    if facts["class_names"] is not None:
        print(f"  classes: {', '.join(facts['class_names'])}")
    print(f"  all of this and more: {metadata}")


def _parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        help="run folder or saved artefact of a detector or a classifier; a .keras file of a "
        "detector with --trust; name of published weights, hf://owner/name, .safetensors or "
        ".weights.h5 file of a classifier",
    )
    parser.add_argument(
        "output",
        help="folder of the served model, which gets a subfolder per version; or a file to write, "
        ".onnx, or .tflite of a classifier",
    )
    parser.add_argument(
        "--format",
        choices=("savedmodel", "onnx", "litert"),
        help="what to write (default: what the ending of the output says)",
    )
    parser.add_argument(
        "--samples",
        nargs="+",
        metavar="IMAGE",
        help="images to compare the export with the model on (default: synthetic ones)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="the greatest difference that is accepted, of classifiers and in bfloat16",
    )
    saved = parser.add_argument_group("SavedModels")
    saved.add_argument("--version", type=int, help="number above 0 (default: the next free one)")
    saved.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="what convolutions compute in; bfloat16 is faster where the processor has it, and "
        "less exact: the differences are shown",
    )
    saved.add_argument(
        "--constant",
        choices=CONSTANT,
        help="which weights are constants of the graph: faster, but takes more memory to load "
        "(default: all of a classifier, the spatial convolutions of a detector)",
    )
    saved.add_argument(
        "--warmup",
        action="store_true",
        help="write the samples as requests that TensorFlow Serving answers before it says that "
        "it is ready",
    )
    source = parser.add_argument_group("the model")
    source.add_argument("--network", help="of classifier weights that do not say it: ResNet50, …")
    source.add_argument(
        "--preprocessing", choices=("torch", "caffe", "tf"), help="of weights that do not say it"
    )
    source.add_argument(
        "--image-size", nargs=2, type=int, metavar=("H", "W"),
        help="of the input of a detector as ONNX (default: a square that holds every image)",
    )  # fmt: skip
    source.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="change the detector, e.g. model.test_time=null model.roi_heads.refinements=1",
    )  # fmt: skip
    source.add_argument(
        "--trust", action="store_true", help="load a .keras file from a source you know"
    )
    return parser.parse_args()


def _format(arguments):
    """What to write; options that have no effect on it are refused."""
    ending = Path(arguments.output).suffix
    kind = FORMATS.get(ending, "savedmodel")
    if kind == "savedmodel" and arguments.format is None and ending.lower() in FOREIGN:
        raise ValueError(
            f"No {ending} files are written. Let the output end with .onnx, or .tflite (of "
            "classifiers), or be a folder for a SavedModel, the format of TensorFlow Serving. "
            f"Received: output={arguments.output!r}"
        )
    if arguments.format not in (None, kind):
        wanted = {name: suffix for suffix, name in FORMATS.items()}.get(arguments.format)
        raise ValueError(
            f"The output of --format {arguments.format} must "
            f"{f'end with {wanted}' if wanted else 'be a folder'}. "
            f"Received: output={arguments.output!r}"
        )
    given = {
        "--version": arguments.version is not None,
        "--dtype": arguments.dtype != "float32",
        "--constant": arguments.constant is not None,
        "--warmup": arguments.warmup,
    }
    without = [name for name, present in given.items() if present]
    if kind != "savedmodel" and without:
        raise ValueError(
            f"These are for SavedModels; leave them out. Received: {', '.join(without)}"
        )
    if kind != "onnx" and arguments.image_size is not None:
        raise ValueError(
            "Only a detector as ONNX has images of a fixed size that can be chosen. "
            f"Received: --image-size {' '.join(map(str, arguments.image_size))}"
        )
    return kind


def _is_classifier(arguments):
    """Whether the model is a classifier, by what lies in its folder or by what it is called."""
    path = Path(arguments.model)
    if path.is_dir():
        from keras_resnet.training.model_kind import CLASSIFIER, kind_at

        return kind_at(path) == CLASSIFIER
    named = arguments.network is not None or arguments.model.startswith("hf://")
    if named or path.suffix in (".safetensors", ".h5"):
        return True
    from keras_resnet.weights.registry import REGISTRY

    return arguments.model in REGISTRY


def _saved_model_options(arguments):
    options = {
        "version": arguments.version,
        "samples": arguments.samples,
        "dtype": arguments.dtype,
        "tolerance": arguments.tolerance,
        "warmup": arguments.warmup,
    }
    if arguments.constant is not None:
        options["constant"] = CONSTANT[arguments.constant]
    return options


def _detector(arguments, kind):
    from detection.export import METADATA_FILE, export_saved_model
    from detection.export_onnx import export_onnx
    from detection.saving import load
    from keras_resnet.model_file import metadata_path, new_file

    if arguments.preprocessing is not None:
        raise ValueError(
            "A detector says its preprocessing itself; leave --preprocessing out. "
            f"Received: --preprocessing {arguments.preprocessing}"
        )
    if kind == "litert":
        raise ValueError(
            "Of detectors a SavedModel or an ONNX file can be made; LiteRT is for classifiers. "
            f"Received: output={arguments.output!r}"
        )
    if kind == "onnx" and arguments.tolerance is not None:
        raise ValueError(
            "A detector as ONNX answers as the model does; leave --tolerance out. "
            f"Received: --tolerance {arguments.tolerance}"
        )
    if kind == "onnx":
        new_file(arguments.output)  # Refuses before any work is done.
    overrides = only_the_model(arguments.set)
    model = load(arguments.model, trust=arguments.trust, overrides=overrides)
    if kind == "onnx":
        path = export_onnx(model, arguments.output, arguments.image_size, arguments.samples)
        return path, metadata_path(path)
    folder = export_saved_model(model, arguments.output, **_saved_model_options(arguments))
    return folder, folder / "assets" / METADATA_FILE


def _classifier(arguments, kind):
    from keras_resnet.classification.export import METADATA_FILE, export_classifier
    from keras_resnet.classification.export_file import export_file
    from keras_resnet.classification.source import open_classifier
    from keras_resnet.model_file import metadata_path

    if arguments.set or arguments.trust or arguments.image_size:
        raise ValueError(
            "--set, --trust and --image-size are for detectors. Received: "
            f"--set {arguments.set}, --trust {arguments.trust}, "
            f"--image-size {arguments.image_size}"
        )
    source = open_classifier(arguments.model, arguments.network, arguments.preprocessing)
    if kind != "savedmodel":
        path = export_file(source, arguments.output, arguments.samples, arguments.tolerance)
        return path, metadata_path(path)
    folder = export_classifier(source, arguments.output, **_saved_model_options(arguments))
    return folder, folder / "assets" / METADATA_FILE


if __name__ == "__main__":
    run(main)
