"""Exports a trained detector for TensorFlow Serving.

Example:

    python scripts/export_saved_model.py runs/quickstart served/shapes
"""

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="run folder, saved artefact, or a .keras file with --trust")
    parser.add_argument("output", help="folder of the served model; gets a subfolder per version")
    parser.add_argument("--version", type=int, help="number above 0 (default: the next free one)")
    parser.add_argument(
        "--samples",
        nargs="+",
        metavar="IMAGE",
        help="images to compare the export with the model on (default: three synthetic ones)",
    )
    parser.add_argument(
        "--trust", action="store_true", help="load a .keras file from a source you know"
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    from detection.export import describe, export_saved_model
    from detection.saving import load

    try:
        model = load(options.model, trust=options.trust)
        folder = export_saved_model(
            model, options.output, version=options.version, samples=options.samples
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    facts = describe(model)
    print(f"Exported to {folder}; it answers as the model does.")
    for name, inputs in facts["signatures"].items():
        print(f"  {name}({', '.join(f'{key}: {value}' for key, value in inputs.items())})")
    for name, meaning in facts["outputs"].items():
        print(f"    {name}: {meaning}")
    print(f"  classes: {', '.join(facts['class_names'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
