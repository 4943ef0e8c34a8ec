"""What the scripts that train have in common, from their arguments to the training itself."""

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
from _common import TRAINING_CODES, quiet_start

INTERRUPTED = "Interrupted. What was saved can be continued with --resume."


def training_parser(description, kind, config):
    """The parser of a training script.

    Args:
        description: str, for `--help`.
        kind: kind of script in `_words`.
        config: options of the argument of the configuration, as of `add_argument`.

    Returns:
        `argparse.ArgumentParser`, to which the script may add what only it takes.
    """
    shown = "[CONFIG]" if config.get("nargs") == "?" else "CONFIG"
    parser = argparse.ArgumentParser(
        usage=f"%(prog)s {shown} [words] [--set KEY=VALUE ...] [options]",
        description=description,
        epilog=TRAINING_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_arguments(parser, kind, {"metavar": "CONFIG", **config})
    add_output_arguments(parser)
    add_process_arguments(parser)
    return parser


def train_with(arguments, kind, functions):
    """Trains as the arguments say, or tells what that would be (`--dry-run`).

    Args:
        arguments: parsed arguments of a `training_parser`.
        kind: as for that.
        functions: callable that imports `(load_config, describe_run, train)` and returns them; it
            is called when the backend is there.
    """
    overrides = overrides_of(arguments, kind)
    quiet_start(arguments)
    load_config, describe_run, train = functions()
    from keras_resnet.training.processes import is_main
    from keras_resnet.training.run_state import check_run

    config = load_with(load_config, arguments.config, overrides, arguments)
    if arguments.dry_run:
        print_dry_run(config, describe_run)
        return
    if is_main():
        check_run(config.run)
    if is_main() and not arguments.quiet:
        print_settings(config, arguments.config, overrides, arguments.verbose)
    say = (lambda line: None) if arguments.quiet else print
    train(config, say=say, stop_by_signals=True)
