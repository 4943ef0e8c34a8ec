"""What the scripts share: a quiet start and errors in words."""

import os
import sys
import tempfile

TRAINING_CODES = """\
exit codes:
  0    done
  1    diverged: a loss is not finite; the batch is saved in the run folder
  2    a mistake in the input or the configuration, or files that cannot be read or written
       (a full disk, a run folder that another process uses)
  130  stopped by SIGINT (Ctrl-C); the step was finished and the state saved
  143  stopped by SIGTERM, likewise
A second signal ends the process at once. Whatever ended a run (SIGKILL and power cuts, too), the
same command with --set run.resume=true continues it from the last saved state; train.state_every
says how often that is saved within an epoch.
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
        sys.exit(130)
    except (ValueError, OSError) as error:
        if os.environ.get("DETECTION_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        print("(set DETECTION_TRACEBACK=1 to see where it was raised)", file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        from keras_resnet.training.divergence import TrainingDiverged
        from keras_resnet.training.stopping import TrainingStopped

        if isinstance(error, TrainingStopped):
            print(error, file=sys.stderr)
            sys.exit(128 + error.signal)
        if not isinstance(error, TrainingDiverged):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def quiet_start():
    """Imports the backend without the lines that its C++ code prints at the start.

    They go to the file descriptor before any log level holds. Should the import
    fail, they are printed. What goes wrong later comes as a Python exception;
    TF_CPP_MIN_LOG_LEVEL=0 in the environment shows the log of TensorFlow beside it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            import keras_resnet.training.devices

            keras_resnet.training.devices.accelerators()
        except BaseException:
            captured.seek(0)
            os.write(terminal, captured.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


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
