"""Trains, evaluates, draws and exports a detector. Without arguments: the quickstart.

Example: python scripts/train_detector.py bccd --data path/to/BCCD --epochs 20 --batch 8
"""

import argparse

from _arguments import (
    add_config_arguments,
    add_output_arguments,
    add_process_arguments,
    load_with,
    overrides_of,
    print_dry_run,
    print_settings,
)
from _common import TRAINING_CODES, quiet_start, run
from _words import DETECTOR


def main():
    parser = argparse.ArgumentParser(
        usage="%(prog)s [CONFIG] [words] [--set KEY=VALUE ...] [options]",
        description=__doc__,
        epilog=TRAINING_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    about = "YAML file, or the name of one in the package (default: quickstart)"
    add_config_arguments(
        parser,
        DETECTOR,
        {"nargs": "?", "default": "quickstart", "metavar": "CONFIG", "help": about},
    )
    add_output_arguments(parser)
    add_process_arguments(parser)
    arguments = parser.parse_args()
    overrides = overrides_of(arguments, DETECTOR)

    quiet_start(arguments)
    import detection
    from keras_resnet.training.processes import is_main
    from keras_resnet.training.run_state import check_run

    config = load_with(detection.load_config, arguments.config, overrides, arguments)
    if arguments.dry_run:
        from detection.dry_run import describe_run

        print_dry_run(config, describe_run)
        return
    if is_main():
        check_run(config.run)
    if is_main() and not arguments.quiet:
        print_settings(config, arguments.config, overrides, arguments.verbose)
    say = (lambda line: None) if arguments.quiet else print
    detection.train_detector(config, say=say, stop_by_signals=True)


if __name__ == "__main__":
    run(main, "Interrupted. What was saved can be continued with --resume.")
