"""What the scripts share: a quiet start and errors in words."""

import os
import sys


def run(main):
    """Runs a script's `main()` and turns expected errors into one message.

    Exit codes: 0 done, 1 training diverged, 2 something in the input or the
    configuration is wrong, 130 interrupted.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted. Checkpoints of finished epochs are in the run folder.")
        sys.exit(130)
    except (ValueError, FileNotFoundError, PermissionError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        from keras_resnet.training.divergence import TrainingDiverged

        if not isinstance(error, TrainingDiverged):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
