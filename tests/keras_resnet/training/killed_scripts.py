"""A training script that is ended by signals at chosen moments and started again; a program.

`python killed_scripts.py SCRIPT CONFIG PLAN`, with a plan such as `[["step", 3, "SIGKILL"]]`: in
the first process the third step is where the signal comes, and so on; what follows the plan is one
that is left alone. It prints the exit codes as JSON. Each run is a process forked from this one, in
which the backend has not begun to work. The runs are called `whole` and `cut`.
"""

import json
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path

import detection.predict
import detection.train  # so that the processes need not import it each
import keras_resnet.classification.evaluation
import keras_resnet.classification.train
from keras_resnet.training import loop_callbacks


class Moments:
    """Sends this process a signal at the n-th step, evaluation or write to the disk.

    An `"evaluation"` is about to return its figures, a `"prediction"` is a batch within it.
    """

    def __init__(self, kind, number, name):
        self.kind, self.left, self.signal = kind, number, name
        step, start = (
            loop_callbacks.Everyone.on_train_batch_begin,
            loop_callbacks.Evaluate.__init__,
        )

        def begin(everyone, *arguments, **options):
            self.happens("step")
            step(everyone, *arguments, **options)

        def init(own, evaluate, *arguments, **options):
            def evaluated(epoch):
                found = evaluate(epoch)
                self.happens("evaluation")
                return found

            start(own, evaluated, *arguments, **options)

        for module in (detection.predict, keras_resnet.classification.evaluation):
            module.predict_batch = self.predicting(module.predict_batch)
        fsync = os.fsync

        def sync(handle):
            self.happens("fsync")
            fsync(handle)

        loop_callbacks.Everyone.on_train_batch_begin = begin
        loop_callbacks.Evaluate.__init__ = init
        os.fsync = sync

    def predicting(self, predict):
        def predicted(*arguments, **options):
            self.happens("prediction")
            return predict(*arguments, **options)

        return predicted

    def happens(self, kind):
        self.left -= kind == self.kind
        if kind == self.kind and self.left == 0:
            os.kill(os.getpid(), signal.Signals[self.signal])


def process(script, arguments, moment=None):
    """Runs a script in a process of its own; returns its exit code, or minus its signal."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            if moment is not None:
                Moments(*moment)
            sys.argv = [script, *arguments]
            runpy.run_path(script, run_name="__main__")
        except SystemExit as error:
            code = error.code or 0
        except BaseException:
            traceback.print_exc()
            code = 99
        sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(script, config, plan):
    sys.path.insert(0, str(Path(script).parent))
    codes = [process(script, [config, "--set", "run.name=whole"])]
    for moment in [*json.loads(plan), None]:
        codes.append(process(script, [config, "--set", "run.name=cut", "run.resume=auto"], moment))
    print(json.dumps(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
