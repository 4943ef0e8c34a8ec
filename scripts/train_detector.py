"""Trains, evaluates, draws and exports a detector. Without arguments: the quickstart.

Example: python scripts/train_detector.py bccd --set data.root=path/to/BCCD train.steps=500
"""

import argparse

from _common import TRAINING_CODES, add_process_arguments, overrides_of, quiet_start, run


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=TRAINING_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "config",
        nargs="?",
        default="quickstart",
        help="YAML file, or the name of one in the package (default: quickstart)",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override values of the configuration, e.g. train.steps=100",
    )
    parser.add_argument(
        "--max-bad-images",
        type=int,
        metavar="N",
        help="leave out up to N unusable images instead of refusing the data; the same as "
        "--set data.max_bad_images=N",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the configuration and stop")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    add_process_arguments(parser)
    arguments = parser.parse_args()

    quiet_start(arguments)
    import detection
    from keras_resnet.training.config import dump_config

    config = detection.load_config(arguments.config, overrides_of(arguments))
    if arguments.dry_run:
        print(dump_config(config), end="")
        return
    say = (lambda line: None) if arguments.quiet else print
    detection.train_detector(config, say=say, stop_by_signals=True)


if __name__ == "__main__":
    run(main, "Interrupted. What was saved can be continued with --set run.resume=true.")
