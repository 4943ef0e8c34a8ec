"""Trains a detector with and without global context and writes the paper's table of improvements.

Baseline, + box refinement, + context, + multi-scale testing, on the validation split.

Example: python scripts/ablate_detector.py --set train.steps=1500 run.name=ablation
"""

import argparse

from _arguments import add_config_arguments, load_with, overrides_of
from _common import EXIT_CODES, quiet_start, run
from _words import DETECTOR


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    about = "YAML file or name of a configuration"
    add_config_arguments(
        parser,
        DETECTOR,
        {"nargs": "?", "default": "quickstart", "metavar": "CONFIG", "help": about},
    )
    parser.add_argument(
        "--runs", nargs=2, metavar=("BASELINE", "CONTEXT"),
        help="run folders of the two models, trained before, instead of training",
    )  # fmt: skip
    parser.add_argument("--output", default="ablation.md", help="Markdown file to write")
    arguments = parser.parse_args()
    overrides = overrides_of(arguments, DETECTOR)

    quiet_start(arguments)
    import detection
    from detection.ablation import ablate, table

    config = load_with(detection.load_config, arguments.config, overrides, arguments)
    folders = arguments.runs and dict(zip(("baseline", "context"), arguments.runs))
    print(table(ablate(config, folders, arguments.output)), end="")
    print(f"Written: {arguments.output}")


if __name__ == "__main__":
    run(main)
