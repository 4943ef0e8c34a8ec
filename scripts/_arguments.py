"""Arguments that several scripts take, and what they make of a configuration."""

import argparse
import json
import os
import re

from _data_word import detector_data, unknown_data
from _words import (
    CLASSIFIER,
    DETECTOR,
    EVALUATION,
    PREDICTION,
    means_configuration,
    name_here,
    overrides_for,
    words_of,
)

# For --help: an example of a word behind --set, one of a key, and where all keys are shown.
_EXAMPLES = {
    DETECTOR: ("imgsz=640", "train.steps=100", "train_detector.py --dry-run"),
    CLASSIFIER: ("imgsz=160", "train.steps=100", "train_classifier.py --dry-run"),
    EVALUATION: ("batch=8", "model.test_time.flip=true", "config.yaml of the run"),
    PREDICTION: ("conf=0.3", "model.test_time.flip=true", "config.yaml of the run"),
}
# Where the configuration itself is given.
_CONFIGURED = {
    **dict.fromkeys((DETECTOR, CLASSIFIER), "The configuration goes first, without a flag"),
    EVALUATION: "The configuration is given by --config",
}


def add_process_arguments(parser):
    """Adds the arguments of a script that several processes can run together."""
    group = parser.add_argument_group(
        "several processes",
        "With KERAS_BACKEND=jax: run the same command in each process, on one machine or several, "
        "with the same configuration, data and (to continue a run) run folder. The batch size is "
        "that of all together. Or set KERAS_DISTRIBUTION_JOB_ADDRESSES, "
        "KERAS_DISTRIBUTION_NUM_PROCESSES and KERAS_DISTRIBUTION_PROCESS_ID.",
    )
    group.add_argument(
        "--processes", metavar="HOST:PORT", help="address of process 0, which all can reach"
    )
    group.add_argument("--num-processes", type=int, metavar="N", help="how many there are")
    group.add_argument(
        "--process-id", type=int, metavar="I", help="which one this is, from 0; 0 writes the files"
    )


def add_config_arguments(parser, kind, config=None, bad_images=True):
    """Adds the arguments that say what a script works with: a configuration and its changes.

    Args:
        parser: `argparse.ArgumentParser`.
        kind: kind of script in `_words`, whose words become flags.
        config: options of the positional argument of the configuration, as of `add_argument`;
            None for none.
        bad_images: bool, whether there are data that may have some.
    """
    if config is not None:
        parser.add_argument("config", **{"type": _config_of(kind), **config})
    word, key, shown = _EXAMPLES[kind]
    others = "keys under model." if kind == PREDICTION else "all other keys"
    words = parser.add_argument_group(
        "words", f"The same after --set, as in --set {word}; there {others} as well."
    )
    for name, word in words_of(kind).items():
        options = {"dest": f"word_{name}", "metavar": word.takes, "help": word.help_for(kind)}
        if word.alone is not None:
            options |= {"nargs": "?", "const": word.alone}
        flags = [f"--{name}"]
        if "_" in name:
            flags.insert(0, f"--{name.replace('_', '-')}")
        words.add_argument(*flags, **options)
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help=f"change values of the configuration, e.g. {key} ({shown} shows all)",
    )
    if bad_images:
        parser.add_argument(
            "--max-bad-images",
            type=int,
            metavar="N",
            help="leave out up to N unusable images instead of refusing the data",
        )
    _explain_mistakes(parser, kind)


def _explain_mistakes(parser, kind):
    """What other tools take without dashes, or by other names, is told in the error message."""
    plain = parser.error

    def error(message):
        _, found, given = message.partition("unrecognized arguments: ")
        plain(message + "".join(_hints(kind, given.split())) if found else message)

    parser.error = error


def _hints(kind, given):
    for text in given:
        name, equals, value = text.lstrip("-").partition("=")
        here = name_here(kind, name)
        if means_configuration(name):
            yield f". {_CONFIGURED[kind]}" if kind in _CONFIGURED else ""
        elif equals and not text.startswith("-"):
            yield f". {_behind_set(kind, name, value)}"
        elif text.startswith("--") and here:
            flag = f"--set {here}={value or '...'}" if "." in here else f"--{here}"
            yield f". Instead of --{name}: {flag}"


def _behind_set(kind, name, value):
    if means_configuration(name):
        return _CONFIGURED[kind]
    here = name if name in words_of(kind) else name_here(kind, name) or name
    flag = f", or --{here} {value}" if here in words_of(kind) else ""
    return f"Put it behind --set: --set {here}={value}{flag}"


def _config_of(kind):
    """The type of the argument CONFIG, which is no `key=value`."""

    def config(text):
        name, equals, value = text.partition("=")
        if equals and re.fullmatch(r"[\w.-]+", name) and not os.path.exists(text):
            hint = _behind_set(kind, name, value)
            raise argparse.ArgumentTypeError(f"{text!r} is no configuration. {hint}")
        return text

    return config


def add_output_arguments(parser):
    """Adds what a training script is to print."""
    group = parser.add_argument_group("what is printed")
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="print the whole configuration and the sizes of batches and model, and stop",
    )
    amount = group.add_mutually_exclusive_group()
    amount.add_argument("--quiet", action="store_true", help="nothing but errors")
    amount.add_argument("--verbose", action="store_true", help="the whole configuration, too")


def overrides_of(arguments, kind):
    """The changes of the configuration: `--set`, the words and `--max-bad-images`.

    Call it before `quiet_start`, since the word `device` hides devices from the backend.

    Args:
        arguments: parsed arguments of `add_config_arguments`.
        kind: that given there.

    Returns:
        List of `"key.of.section=value"`.
    """
    given = {name: getattr(arguments, f"word_{name}", None) for name in words_of(kind)}
    texts = [*arguments.set, *(f"{n}={value}" for n, value in given.items() if value is not None)]
    if getattr(arguments, "max_bad_images", None) is not None:
        texts.append(f"data.max_bad_images={arguments.max_bad_images}")
    devices = [text.partition("=")[2] for text in texts if text.partition("=")[0] == "device"]
    found = overrides_for(kind, texts)
    paths = [text.partition("=")[2] for text in texts if text.partition("=")[0].strip() == "data"]
    if paths and kind in (DETECTOR, EVALUATION) and not detector_data(paths[-1])[1]:
        arguments.unknown_data = paths[-1].strip().strip("'\"")
    if devices and devices[-1] not in ("cpu", "all"):
        arguments.gpus = devices[-1].count(",") + 1
    return found


def word_given(arguments, name):
    """The value of a word that stands for no key: of its flag, or else the last after `--set`.

    Args:
        arguments: parsed arguments of `add_config_arguments`.
        name: str, the word.

    Returns:
        str, or None where it was not given.
    """
    flag = getattr(arguments, f"word_{name}")
    pairs = [text.partition("=") for text in arguments.set]
    after = [value.strip() for word, _, value in pairs if word.strip() == name]
    return flag if flag is not None else after[-1] if after else None


def load_with(load, source, overrides, arguments=None):
    """Loads a configuration; an image side given by `imgsz` is also that of a jittered canvas.

    Args:
        load: callable `(source, overrides)`.
        source: path or name.
        overrides: list as of `overrides_of`.
        arguments: those given there, or None.

    Raises:
        ValueError: the word `data` named no data that the configuration can take.
    """
    unknown = getattr(arguments, "unknown_data", None)
    if unknown is not None:
        others = [text for text in overrides if not text.startswith("data.root=")]
        error = unknown_data(unknown, load(source, others).data.format)
        if error is not None:
            raise error
    config = load(source, overrides)
    jitter = getattr(config.data.pipeline, "large_scale_jitter", None)
    side = [text for text in overrides if text.startswith("data.pipeline.max_side=")]
    if jitter is None or not side:
        return config
    size = side[-1].partition("=")[2]
    first = [f"data.pipeline.large_scale_jitter.size={size}"]
    return load(source, [*first, *overrides])  # an override of the size itself comes later


def print_dry_run(config, describe_run):
    """Prints a configuration, and as comments what it leads to.

    Args:
        config: the configuration.
        describe_run: callable of it that returns a list of str.

    Raises:
        ValueError: whatever would keep the run itself from beginning.
    """
    from keras_resnet.training.config import dump_config

    print(dump_config(config), end="")
    # Comments, so that the output is a configuration.
    print("".join(f"# {line}\n" for line in describe_run(config)), end="")


def print_settings(config, source, overrides, verbose):
    """Prints the resolved values that were changed, or with `verbose` all of them."""
    from keras_resnet.training.config import dump_config

    if verbose:
        print(dump_config(config), end="")
        return
    values = config.model_dump(mode="json")
    shown = {}
    for override in overrides:
        key = override.partition("=")[0].strip()
        value = values
        for part in key.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        if not isinstance(value, dict):
            shown[key] = f"{key}={json.dumps(value, ensure_ascii=False)}"
    lines = "".join(f"\n  {text}" for text in shown.values())
    print(f"configuration {source}{', changed in' if lines else ''}{lines}")


def of_the_model(overrides):
    """Splits `--set` values into those of the model, without `model.`, and the others."""
    prefix = "model."
    return (
        [text[len(prefix) :] for text in overrides if text.startswith(prefix)],
        [text for text in overrides if not text.startswith(prefix)],
    )


def only_the_model(overrides):
    """The values of `--set` without `model.`, where there is nothing else to change."""
    changes, others = of_the_model(overrides)
    if others:
        raise ValueError(f"Only keys under model. can be changed here. Received: {others}")
    return changes
