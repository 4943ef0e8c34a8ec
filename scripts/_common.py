"""What the scripts share: a quiet start and errors in words."""

import contextlib
import json
import os
import sys
import tempfile
import traceback

from _words import overrides_for, words_of

TRAINING_CODES = """\
exit codes:
  0    done
  1    diverged: a loss is not finite; the batch is saved in the run folder
  2    a mistake in the input or the configuration, or files that cannot be read or written
       (a full disk, a run folder that another process uses)
  3    another of several processes ended or cannot be reached
  130  stopped by SIGINT (Ctrl-C); the step was finished and the state saved
  143  stopped by SIGTERM, likewise
A second signal ends the process at once. Whatever ended a run (SIGKILL and power cuts, too), the
same command with --resume continues it from the last saved state; train.state_every says how often
that is saved within an epoch. With --resume auto one command does both: it begins the run or
continues it.
"""


def run(main, interrupted="Interrupted."):
    """Runs a script's `main()` and turns expected errors into one message.

    Exit codes: 0 done, 1 training diverged, 2 something in the input, the configuration or the
    files is wrong, 130 interrupted; 128 + the signal's number where that stopped training.
    """
    try:
        main()
    except KeyboardInterrupt:
        print(f"\n{interrupted}", file=sys.stderr)
        _leave(130)
    except (ValueError, OSError) as error:
        if os.environ.get("DETECTION_TRACEBACK"):
            _crash()
        _print_error(error)
    except RuntimeError as error:
        from keras_resnet.training.divergence import TrainingDiverged
        from keras_resnet.training.processes import ProcessLost
        from keras_resnet.training.stopping import TrainingStopped

        if isinstance(error, TrainingStopped):
            print(error, file=sys.stderr)
            sys.exit(128 + error.signal)
        if isinstance(error, ProcessLost):
            print(f"error: {error}", file=sys.stderr)
            _leave(3)
        if not isinstance(error, TrainingDiverged):
            _crash_unless_memory(error)
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        _crash_unless_memory(error)


def _print_error(text):
    """Ends this process with a message."""
    print(f"error: {text}", file=sys.stderr)
    print("(set DETECTION_TRACEBACK=1 to see where it was raised)", file=sys.stderr)
    _leave(2)


def _crash_unless_memory(error):
    """Ends this process: with advice where memory ran out, with the traceback elsewhere."""
    from keras_resnet.training.out_of_memory import out_of_memory

    advice = out_of_memory(error)
    if advice is None or os.environ.get("DETECTION_TRACEBACK"):
        _crash()
    _print_error(advice)


def _crash():
    """Ends this process with the traceback of the exception that is handled."""
    if _one_of_several():
        with contextlib.suppress(OSError):
            traceback.print_exc()
        _leave(1)
    raise


def _leave(code):
    """Ends this process; where it is one of several, without waiting for the others.

    These would wait for it, too. Its end is what tells them.
    """
    if _one_of_several():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # nobody reads it any more
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _one_of_several():
    processes = sys.modules.get("keras_resnet.training.processes")
    return processes is not None and processes.process_count() > 1


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


def quiet_start(arguments=None):
    """Imports the backend, and joins the other processes of a run where there are some.

    Args:
        arguments: parsed arguments, of which those of `add_process_arguments` and the GPUs that
            `overrides_of` found are used; or None.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet_stderr(), _known_backend():
        import keras_resnet.training.devices
        from keras_resnet.training.processes import join_processes
    if hasattr(arguments, "processes"):
        join_processes(arguments.processes, arguments.num_processes, arguments.process_id)
    with _quiet_stderr():
        present = keras_resnet.training.devices.accelerators()
    wanted = getattr(arguments, "gpus", 0)
    if wanted > len(present):
        raise ValueError(
            f"There are not {wanted} GPUs here that the backend sees; it sees "
            f"{', '.join(present) or 'none'}. Use --device cpu, or numbers from 0 to "
            f"{max(len(present) - 1, 0)}."
        )


@contextlib.contextmanager
def _known_backend():
    """Within it, Keras is imported; a backend that it does not know or find is told in words."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend not in ("tensorflow", "jax"):
        raise ValueError(
            "KERAS_BACKEND must be tensorflow or jax, the backends that these packages work with; "
            f"unset it for tensorflow. Received: KERAS_BACKEND={backend}"
        )
    try:
        yield
    except ImportError as error:
        if error.name not in ("tensorflow", "jax", "jaxlib"):
            raise
        raise ValueError(
            f"The backend {backend} is not installed (pip install {error.name}), or choose the "
            f"other one by the variable KERAS_BACKEND. Received: KERAS_BACKEND={backend}"
        ) from error


@contextlib.contextmanager
def _quiet_stderr():
    """Keeps back the lines that C++ code prints at its start.

    They go to the file descriptor before any log level holds. Should what is done fail, they are
    printed. What goes wrong later comes as a Python exception; TF_CPP_MIN_LOG_LEVEL=0 in the
    environment shows the log of TensorFlow beside it.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(terminal, captured.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


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
        parser.add_argument("config", **config)
    words = parser.add_argument_group(
        "words", "The same after --set, as in --set imgsz=640; there all other keys as well."
    )
    for name, word in words_of(kind).items():
        options = {"dest": f"word_{name}", "metavar": word.takes, "help": word.about}
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
        help="change values of the configuration, e.g. train.steps=100 (--dry-run shows all)",
    )
    if bad_images:
        parser.add_argument(
            "--max-bad-images",
            type=int,
            metavar="N",
            help="leave out up to N unusable images instead of refusing the data",
        )


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
    if devices and devices[-1] not in ("cpu", "all"):
        arguments.gpus = devices[-1].count(",") + 1
    return found


def load_with(load, source, overrides):
    """Loads a configuration; an image side given by `imgsz` is also that of a jittered canvas.

    Args:
        load: callable `(source, overrides)`.
        source: path or name.
        overrides: list as of `overrides_of`.
    """
    config = load(source, overrides)
    jitter = getattr(config.data.pipeline, "large_scale_jitter", None)
    side = [text for text in overrides if text.startswith("data.pipeline.max_side=")]
    if jitter is None or not side:
        return config
    size = side[-1].partition("=")[2]
    first = [f"data.pipeline.large_scale_jitter.size={size}"]
    return load(source, [*first, *overrides])  # an override of the size itself comes later


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
