"""Trains a detector with and without global context and writes the paper's table of improvements.

Baseline, + box refinement, + context, + multi-scale testing, on the validation split.

Example: python scripts/ablate_detector.py --set train.steps=1500 run.name=ablation
"""

import argparse

from _common import quiet_start, run


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "config", nargs="?", default="quickstart", help="YAML file or name of a configuration"
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="override values of the configuration",
    )  # fmt: skip
    parser.add_argument(
        "--runs", nargs=2, metavar=("BASELINE", "CONTEXT"),
        help="run folders of the two models, trained before, instead of training",
    )  # fmt: skip
    parser.add_argument("--output", default="ablation.md", help="Markdown file to write")
    arguments = parser.parse_args()

    quiet_start()
    import detection
    from detection.ablation import ablate, table

    config = detection.load_config(arguments.config, arguments.set)
    folders = arguments.runs and dict(zip(("baseline", "context"), arguments.runs))
    print(table(ablate(config, folders, arguments.output)), end="")
    print(f"Written: {arguments.output}")


if __name__ == "__main__":
    run(main)
