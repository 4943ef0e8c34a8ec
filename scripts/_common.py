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
  2    a mistake in the input or the configuration, or files that cannot be read or written
       (a full disk, a run folder that another process uses)
  3    another of several processes ended or cannot be reached
  130  stopped by SIGINT (Ctrl-C); the step was finished and the state saved
  143  stopped by SIGTERM, likewise
A second signal ends the process at once. Whatever ended a run (SIGKILL and power cuts, too), the
same command with --set run.resume=true continues it from the last saved state; train.state_every
says how often that is saved within an epoch. With run.resume=auto one command does both: it begins
the run or continues it.
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
        print(f"error: {error}", file=sys.stderr)
        print("(set DETECTION_TRACEBACK=1 to see where it was raised)", file=sys.stderr)
        _leave(2)
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
            _crash()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception:
        _crash()


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
        arguments: parsed arguments of `add_process_arguments`, or None.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet_stderr():
        import keras_resnet.training.devices
        from keras_resnet.training.processes import join_processes
    if arguments is not None:
        join_processes(arguments.processes, arguments.num_processes, arguments.process_id)
    with _quiet_stderr():
        keras_resnet.training.devices.accelerators()


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


def overrides_of(arguments):
    """The values of `--set`, and that of `--max-bad-images` under its name in the configuration."""
    if arguments.max_bad_images is None:
        return arguments.set
    return [*arguments.set, f"data.max_bad_images={arguments.max_bad_images}"]


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
