"""Trains and evaluates a classifier.

Example: python scripts/train_classifier.py finetune --data path/to/images --epochs 5 --batch 32
"""

import argparse

from _common import run
from _training import INTERRUPTED, train_with, training_parser
from _words import CLASSIFIER


def main():
    about = "YAML file, or the name of one in the package (--list)"
    parser = training_parser(__doc__, CLASSIFIER, {"help": about})
    parser.add_argument("--list", action=_List, nargs=0, help="print the shipped configurations")
    train_with(parser.parse_args(), CLASSIFIER, _functions)


def _functions():
    from keras_resnet.classification.config import load_classifier_config
    from keras_resnet.classification.dry_run import describe_run
    from keras_resnet.classification.train import train_classifier

    return load_classifier_config, describe_run, train_classifier


class _List(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        from keras_resnet.training.config import available_configs

        print("\n".join(available_configs("keras_resnet")))
        parser.exit()


if __name__ == "__main__":
    run(main, INTERRUPTED)
