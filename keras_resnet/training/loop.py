"""The training loop of classifiers and detectors: `model.fit` that stops and continues exactly."""

import contextlib
import pathlib

from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.devices import refuse_several_workers
from keras_resnet.training.ema import EMA
from keras_resnet.training.input_wait import InputWait
from keras_resnet.training.locks import run_lock
from keras_resnet.training.loop_callbacks import Evaluate, Everyone, SaveState
from keras_resnet.training.processes import is_main
from keras_resnet.training.run_state import RunState
from keras_resnet.training.stop_after import StopAfter
from keras_resnet.training.stopping import stop_on_signals
from keras_resnet.training.throughput import Throughput


def fit(
    model,
    make_batches,
    *,
    steps,
    folder,
    callbacks=(),
    evaluate=None,
    evaluate_every=1,
    state_every=None,
    resume=False,
    identity=None,
    images_per_step=None,
    stop_by_signals=False,
    say=print,
):
    """Trains a compiled model for a number of steps by `model.fit`, and can go on where it stopped.

    A step is one batch; an epoch is `batches.steps_per_epoch` of them, and the last one of a run
    may be shorter. At each epoch's end, and every `state_every` steps, everything that the rest
    of the run depends on is written to `folder/weights/state`: weights, optimizer, seeds, metrics
    of the running epoch, position, and the states of callbacks (see `RunState`). The state before
    it stays in `folder/weights/previous`. A process that dies at any moment and is started again
    with `resume=True` ends with the same weights and figures as one that does not die.

    Args:
        model: built and compiled `keras.Model`.
        make_batches: callable `(start_epoch, start_batch)` that returns the endless batches from
            there on, with the attribute `steps_per_epoch`. Batch `k` of epoch `e` must depend on
            nothing else.
        steps: int, steps of the whole run. A learning rate schedule is asked by step. Under
            gradient accumulation a step is still a batch, and weights change every
            `gradient_accumulation_steps` steps.
        folder: path of the run folder.
        callbacks: sequence of `keras.callbacks.Callback`. `batch` counts from the start of the
            epoch also where the process began within it. The average of an `EMA` among them is
            what is evaluated, and what `Checkpoints` among them save. A run that one of them has
            ended (`EarlyStopping`) is not continued.
        evaluate: callable `(epoch) -> dict` from name to number, called at the end of an epoch;
            what it returns joins the logs before other callbacks see them. None for none.
        evaluate_every: int, epochs between evaluations; the last epoch always has one.
        state_every: int, steps between states, or None for states at the ends of epochs only.
        resume: bool, whether to continue the run in `folder`. Nothing there is an error.
        identity: dict that JSON can hold, what the run must have in common with its earlier
            part (configuration, class names, data). None for nothing.
        images_per_step: int, for images per second in the logs; None leaves them out.
        stop_by_signals: bool, whether SIGINT (Ctrl-C) and SIGTERM end the run after the step it is
            at, or after the evaluation, with its state saved; the second one ends the process at
            once. For programs; it does nothing outside of the main thread.
        say: callable that prints a line.

    Returns:
        dict, the figures of the last epoch, with those of `evaluate`.

    Raises:
        ValueError: there is nothing to continue, or it is a run of another identity; or
            `steps_per_epoch` or `steps` is no multiple of the model's `steps_per_execution`.
        RunInUse: another process trains in `folder` (a `ValueError`).
        TrainingStopped: a signal ended the run.
        WriteError: the disk is full or cannot be written to (an `OSError`).

    Example:
    ```python
    logs = fit(model, lambda epoch, batch: batches_from(epoch, batch), steps=3000, folder="runs/a",
               callbacks=[NaNStop(), CSVResults("runs/a/results.csv")], state_every=500)
    ```
    """
    callbacks = list(callbacks)
    lock = run_lock(folder) if is_main() else contextlib.nullcontext()
    with lock, stop_on_signals(stop_by_signals) as stop:
        for callback in callbacks:
            callback.set_model(model)
        ema = next((c for c in callbacks if isinstance(c, EMA)), None)
        if ema is not None and ema.save:
            for callback in callbacks:
                if isinstance(callback, Checkpoints):
                    callback.ema = ema
        state = RunState(pathlib.Path(folder) / "weights", model, callbacks, identity or {}, say)
        if resume:
            state.restore()
            say(f"continuing {folder} after step {state.done} of {steps}")
        epoch, first_batch = state.epoch, state.batch
        if state.done >= steps or any(getattr(c, "ended", False) for c in callbacks):
            model.optimizer.finalize_variable_values(model.trainable_variables)
            return state.logs
        batches = make_batches(epoch, first_batch)
        per_epoch = batches.steps_per_epoch
        waiting = InputWait()
        batches = waiting.measured(batches)
        waiting_seconds = waiting.seconds if waiting.works else None
        _check_executions(model, steps, per_epoch)
        epochs = -(-steps // per_epoch)
        before = [waiting.callback(), Throughput(images_per_step, waiting_seconds)]
        if evaluate is not None:
            averaged = ema if ema is not None and ema.evaluate else None
            before.insert(
                0,
                Evaluate(
                    evaluate, evaluate_every, epochs, averaged, lambda: everyone.begin_evaluation()
                ),
            )
        # The state comes last: it is that after all others have done their part of a step or epoch.
        after = [StopAfter(steps, per_epoch), SaveState(state, steps, per_epoch, state_every, stop)]
        everyone = Everyone(
            [*before, *callbacks, *after], model, epochs, per_epoch, steps, waiting_seconds
        )

        def run(batches, first, last, count):
            model.fit(
                batches,
                initial_epoch=first,
                epochs=last,
                steps_per_epoch=count,
                callbacks=everyone,
                shuffle=False,  # the batches know their order
                verbose=0,
            )

        model.stop_training = False
        with waiting.watching(model):
            if first_batch:
                # Epochs of a fit have one length, so the rest of this one is a fit of its own.
                if len(state.metrics) != len(model.metrics_variables):
                    model._symbolic_build(data_batch=next(iter(make_batches(epoch, first_batch))))
                everyone.begin_within(first_batch, state.metrics)
                with _not_finalizing(model.optimizer):
                    run(batches, epoch, epoch + 1, per_epoch - first_batch)
                epoch += 1
                batches = None if epoch == epochs else waiting.measured(make_batches(epoch, 0))
            if epoch < epochs and not model.stop_training:
                run(batches, epoch, epochs, per_epoch)
            else:
                model.optimizer.finalize_variable_values(model.trainable_variables)
        everyone.finish()
        return state.logs


def _check_executions(model, steps, per_epoch):
    together = model.steps_per_execution
    strategy = getattr(model, "distribute_strategy", None)
    refuse_several_workers(strategy)
    if strategy is not None and strategy.num_replicas_in_sync > 1 and together > 1:
        raise ValueError(
            "TensorFlow trains on several devices with one step an execution only. "
            f"Received: steps_per_execution={together}"
        )
    if per_epoch % together or steps % together:
        raise ValueError(
            "The steps of an epoch and of the run must be multiples of `steps_per_execution`. "
            f"Received: steps_per_execution={together}, steps_per_epoch={per_epoch}, steps={steps}"
        )


@contextlib.contextmanager
def _not_finalizing(optimizer):
    """Within it, the end of a fit does not put an optimizer's averages into the weights."""
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values
