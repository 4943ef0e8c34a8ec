"""Exports a trained detector or classifier for TensorFlow Serving.

Examples:
  python scripts/export_saved_model.py runs/quickstart served/shapes
  python scripts/export_saved_model.py runs/quickstart served/shapes --dtype bfloat16
  python scripts/export_saved_model.py runs/finetune served/flowers --samples a.jpg b.jpg
  python scripts/export_saved_model.py hf://timm/resnet50.tv_in1k served/resnet50
"""

import argparse
from pathlib import Path

from _common import only_the_model, quiet_start, run

CONSTANT = {"all": True, "spatial": "spatial", "none": False}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model",
        help="run folder or saved artefact of a detector or a classifier; a .keras file of a "
        "detector with --trust; name of published weights, hf://owner/name, .safetensors or "
        ".weights.h5 file of a classifier",
    )
    parser.add_argument("output", help="folder of the served model; gets a subfolder per version")
    parser.add_argument("--version", type=int, help="number above 0 (default: the next free one)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="what convolutions compute in; bfloat16 is faster where the processor has it, and "
        "less exact: the differences are shown",
    )
    parser.add_argument(
        "--tolerance", type=float, help="the greatest difference that is accepted in bfloat16"
    )
    parser.add_argument(
        "--constant",
        choices=CONSTANT,
        help="which weights are constants of the graph: faster, but takes more memory to load "
        "(default: all of a classifier, the spatial convolutions of a detector)",
    )
    parser.add_argument(
        "--samples",
        nargs="+",
        metavar="IMAGE",
        help="images to compare the export with the model on (default: synthetic ones)",
    )
    parser.add_argument("--network", help="of classifier weights that do not say it: ResNet50, …")
    parser.add_argument(
        "--preprocessing", choices=("torch", "caffe", "tf"), help="of weights that do not say it"
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="change the detector, e.g. model.test_time=null model.roi_heads.refinements=1",
    )  # fmt: skip
    parser.add_argument(
        "--trust", action="store_true", help="load a .keras file from a source you know"
    )
    arguments = parser.parse_args()

    quiet_start()
    options = {
        "version": arguments.version,
        "samples": arguments.samples,
        "dtype": arguments.dtype,
        "tolerance": arguments.tolerance,
    }
    if arguments.constant is not None:
        options["constant"] = CONSTANT[arguments.constant]
    export = _classifier if _is_classifier(arguments) else _detector
    folder, facts, metadata = export(arguments, options)
    check = _check(folder / "assets" / metadata)
    exact = arguments.dtype == "float32"
    print(f"Exported to {folder}; it answers as the model does{'' if exact else ', but for:'}")
    for name, value in check.items():
        print(f"  {name}: {value if isinstance(value, int) else format(value, '.4g')}")
    for name, inputs in facts["signatures"].items():
        print(f"  {name}({', '.join(f'{key}: {value}' for key, value in inputs.items())})")
    for name, meaning in facts["outputs"].items():
        print(f"    {name}: {meaning}")
    if facts["class_names"] is not None:
        print(f"  classes: {', '.join(facts['class_names'])}")


def _is_classifier(arguments):
    """Whether the model is a classifier, by what lies in its folder or by what it is called."""
    path = Path(arguments.model)
    if path.is_dir():
        from keras_resnet.classification.model import FORMAT
        from keras_resnet.training.verified_folder import holds_folder

        folders = [path, *(path / name for name in ("weights/best", "weights/last", "best"))]
        found = next((folder for folder in folders if holds_folder(folder)), None)
        return found is not None and f'"{FORMAT}"' in (found / "model.json").read_text("utf-8")
    named = arguments.network is not None or arguments.model.startswith("hf://")
    if named or path.suffix in (".safetensors", ".h5"):
        return True
    from keras_resnet.weights.registry import REGISTRY

    return arguments.model in REGISTRY


def _detector(arguments, options):
    from detection.export import METADATA_FILE, describe, export_saved_model
    from detection.saving import load

    if arguments.preprocessing is not None:
        raise ValueError(
            "A detector says its preprocessing itself; leave --preprocessing out. "
            f"Received: --preprocessing {arguments.preprocessing}"
        )
    overrides = only_the_model(arguments.set)
    model = load(arguments.model, trust=arguments.trust, overrides=overrides)
    folder = export_saved_model(model, arguments.output, **options)
    return folder, describe(model), METADATA_FILE


def _classifier(arguments, options):
    from keras_resnet.classification.export import METADATA_FILE, describe, export_classifier
    from keras_resnet.classification.source import open_classifier

    if arguments.set or arguments.trust:
        raise ValueError(
            "--set and --trust are for detectors. "
            f"Received: --set {arguments.set}, --trust {arguments.trust}"
        )
    source = open_classifier(arguments.model, arguments.network, arguments.preprocessing)
    folder = export_classifier(source, arguments.output, **options)
    return folder, describe(source), METADATA_FILE


def _check(path):
    import json

    return json.loads(path.read_text(encoding="utf-8"))["self_check"]


if __name__ == "__main__":
    run(main)
