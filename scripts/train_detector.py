"""Trains, evaluates, draws and exports a detector. Without arguments: the quickstart.

Example: python scripts/train_detector.py bccd --data path/to/BCCD --epochs 20 --batch 8
"""

from _common import run
from _training import INTERRUPTED, train_with, training_parser
from _words import DETECTOR


def main():
    about = "YAML file, or the name of one in the package (default: quickstart)"
    config = {"nargs": "?", "default": "quickstart", "help": about}
    arguments = training_parser(__doc__, DETECTOR, config).parse_args()
    train_with(arguments, DETECTOR, _functions)


def _functions():
    import detection
    from detection.dry_run import describe_run

    return detection.load_config, describe_run, detection.train_detector


if __name__ == "__main__":
    run(main, INTERRUPTED)
