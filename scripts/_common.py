"""What the scripts share: a quiet start and errors in words."""

import contextlib
import os
import sys
import tempfile
import traceback

TRAINING_CODES = """\
exit codes:
  0    done
  1    diverged: a loss is not finite; the batch is saved in the run folder
       (or an error in the program itself, with its traceback)
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
EXIT_CODES = """\
exit codes: 0 done, 2 a mistake in input or files, 130 interrupted,
            1 an error in the program
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
            print(shown(error), file=sys.stderr)
            sys.exit(128 + error.signal)
        if isinstance(error, ProcessLost):
            print(f"error: {shown(error)}", file=sys.stderr)
            _leave(3)
        if not isinstance(error, TrainingDiverged):
            _crash_unless_memory(error)
        print(f"error: {shown(error)}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        _crash_unless_memory(error)


def shown(text):
    """Escapes what a terminal would obey, such as names of files hold; keeps line breaks.

    It needs no package: an error may be that none can be imported.
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))


def _print_error(text):
    """Ends this process with a message."""
    print(f"error: {shown(text)}", file=sys.stderr)
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
            f"{', '.join(present) or 'none'}. Use --device cpu"
            + (f", or numbers from 0 to {len(present) - 1}." if present else ".")
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
