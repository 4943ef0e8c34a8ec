"""Exports a trained detector for TensorFlow Serving.

Example:

    python scripts/export_saved_model.py runs/quickstart served/shapes
"""

import argparse

from _common import only_the_model, quiet_start, run


def main():
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
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="change the model, e.g. model.test_time=null model.roi_heads.refinements=1",
    )  # fmt: skip
    parser.add_argument(
        "--trust", action="store_true", help="load a .keras file from a source you know"
    )
    arguments = parser.parse_args()

    quiet_start()
    from detection.export import describe, export_saved_model
    from detection.saving import load

    overrides = only_the_model(arguments.set)
    model = load(arguments.model, trust=arguments.trust, overrides=overrides)
    folder = export_saved_model(
        model, arguments.output, version=arguments.version, samples=arguments.samples
    )
    facts = describe(model)
    print(f"Exported to {folder}; it answers as the model does.")
    for name, inputs in facts["signatures"].items():
        print(f"  {name}({', '.join(f'{key}: {value}' for key, value in inputs.items())})")
    for name, meaning in facts["outputs"].items():
        print(f"    {name}: {meaning}")
    print(f"  classes: {', '.join(facts['class_names'])}")


if __name__ == "__main__":
    run(main)
