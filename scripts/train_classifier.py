"""Trains and evaluates a classifier.

Example: python scripts/train_classifier.py cifar10_resnet20 --set data.root=cifar-10-python.tar.gz
"""

import argparse

from _common import TRAINING_CODES, add_process_arguments, overrides_of, quiet_start, run


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=TRAINING_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", help="YAML file, or the name of one in the package (--list)")
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
    parser.add_argument("--list", action=_List, nargs=0, help="print the shipped configurations")
    parser.add_argument("--dry-run", action="store_true", help="print the configuration and stop")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    add_process_arguments(parser)
    arguments = parser.parse_args()

    quiet_start(arguments)
    from keras_resnet.classification.config import load_classifier_config
    from keras_resnet.classification.train import train_classifier
    from keras_resnet.training.config import dump_config

    config = load_classifier_config(arguments.config, overrides_of(arguments))
    if arguments.dry_run:
        print(dump_config(config), end="")
        return
    say = (lambda line: None) if arguments.quiet else print
    train_classifier(config, say=say, stop_by_signals=True)


class _List(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        from keras_resnet.training.config import available_configs

        print("\n".join(available_configs("keras_resnet")))
        parser.exit()


if __name__ == "__main__":
    run(main, "Interrupted. What was saved can be continued with --set run.resume=true.")
