"""Looks through a data set before training: counts, anchors, suspicious boxes, advice.

Takes the configuration and the overrides of train_detector.py and looks at exactly what would
be trained on. Writes a page, JSON and contact sheets into a folder of their own; nothing is ever
written into the data set.

Example: python scripts/check_data.py finetune_custom --set \\
             data.train.images=photos data.train.annotations=train.json \\
             data.val.images=photos data.val.annotations=val.json

Exit codes: 0 looked through; 1 with --strict: there are errors or warnings;
            2 wrong usage, or data that cannot be read at all; 130 interrupted.
"""

import argparse
import json
import sys

from _arguments import add_config_arguments, load_with, overrides_of
from _common import quiet_start, run
from _words import DETECTOR


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    about = "YAML file, or the name of one in the package (default: quickstart)"
    add_config_arguments(
        parser,
        DETECTOR,
        {"nargs": "?", "default": "quickstart", "metavar": "CONFIG", "help": about},
    )
    judging = parser.add_argument_group("judging")
    judging.add_argument(
        "--strict", action="store_true", help="exit with 1 if there are errors or warnings"
    )
    judging.add_argument(
        "--allow",
        nargs="+",
        action="extend",
        default=[],
        metavar="KIND",
        help="with --strict: kinds of problems that do not count, e.g. clipped extreme_aspect",
    )
    judging.add_argument(
        "--headers",
        action="store_true",
        help="read the headers of images only: faster, but truncated files are not found",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        metavar="FOLDER",
        help="folder of the report (default: data_check, data_check2, ... in run.project)",
    )
    output.add_argument("--no-report", action="store_true", help="write nothing, print only")
    output.add_argument(
        "--images", type=int, default=16, help="images on a contact sheet (default: 16; 0: none)"
    )
    output.add_argument("--json", action="store_true", help="print JSON instead of tables")
    output.add_argument("--short", action="store_true", help="print a few lines only")
    arguments = parser.parse_args()
    if arguments.allow and not arguments.strict:
        parser.error("--allow goes with --strict")
    if arguments.no_report and arguments.output:
        parser.error("--output and --no-report exclude each other")
    if arguments.images < 0:
        parser.error("--images must not be negative")

    overrides = overrides_of(arguments, DETECTOR)
    quiet_start(arguments)
    import detection
    from detection.data_check import check_data, write_report
    from detection.data_check.report_text import terminal_style
    from keras_resnet.training.run import check_output_folder, new_run_folder

    # Names of files and classes may hold what the terminal's encoding has not.
    sys.stdout.reconfigure(errors="backslashreplace")
    config = load_with(detection.load_config, arguments.config, overrides, arguments)
    if not arguments.no_report:
        check_output_folder(arguments.output or config.run.project)
    found = check_data(config, decode=not arguments.headers)
    defects = found.defects(arguments.allow)
    if arguments.json:
        print(json.dumps(found.to_dict(), indent=1, allow_nan=False))
    elif arguments.short:
        print(found.summary())
    else:
        print(found.text(terminal_style(sys.stdout)))
    if not arguments.no_report:
        folder = arguments.output or new_run_folder(config.run.project, "data_check")
        title = f"Data check: {arguments.config}"
        paths = write_report(found, folder, arguments.images, title)
        print("Written: " + ", ".join(map(str, paths)), file=sys.stderr if arguments.json else None)
    if arguments.strict and defects:
        kinds = ", ".join(f"{problem.kind} ({len(problem.findings):,})" for problem in defects)
        print(f"Not fit for training as it is (--strict): {kinds}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run(main)
