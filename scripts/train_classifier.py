"""Trains and evaluates a classifier.

Example: python scripts/train_classifier.py finetune --data path/to/images --epochs 5 --batch 32
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
from _words import CLASSIFIER


def main():
    parser = argparse.ArgumentParser(
        usage="%(prog)s CONFIG [words] [--set KEY=VALUE ...] [options]",
        description=__doc__,
        epilog=TRAINING_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    about = "YAML file, or the name of one in the package (--list)"
    add_config_arguments(parser, CLASSIFIER, {"metavar": "CONFIG", "help": about})
    parser.add_argument("--list", action=_List, nargs=0, help="print the shipped configurations")
    add_output_arguments(parser)
    add_process_arguments(parser)
    arguments = parser.parse_args()
    overrides = overrides_of(arguments, CLASSIFIER)

    quiet_start(arguments)
    from keras_resnet.classification.config import load_classifier_config
    from keras_resnet.training.processes import is_main
    from keras_resnet.training.run_state import check_run

    config = load_with(load_classifier_config, arguments.config, overrides, arguments)
    if arguments.dry_run:
        from keras_resnet.classification.dry_run import describe_run

        print_dry_run(config, describe_run)
        return
    from keras_resnet.classification.train import train_classifier

    if is_main():
        check_run(config.run)
    if is_main() and not arguments.quiet:
        print_settings(config, arguments.config, overrides, arguments.verbose)
    say = (lambda line: None) if arguments.quiet else print
    train_classifier(config, say=say, stop_by_signals=True)


class _List(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        from keras_resnet.training.config import available_configs

        print("\n".join(available_configs("keras_resnet")))
        parser.exit()


if __name__ == "__main__":
    run(main, "Interrupted. What was saved can be continued with --resume.")
