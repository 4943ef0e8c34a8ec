"""The callbacks that make `loop.fit` of `model.fit`."""

import contextlib

import keras

from keras_resnet.training.processes import highest
from keras_resnet.training.stopping import StopRequest, TrainingStopped
from keras_resnet.training.variable_keys import variable_keys


class Everyone(keras.callbacks.CallbackList):
    """All callbacks of a run, which see one run where Keras sees two fits.

    The first of them may be the rest of an epoch. Callbacks then get the number of a batch in the
    whole epoch; `params["first_batch"]` is that of the first batch they are told of.

    Args:
        callbacks: list of callbacks.
        model: compiled `keras.Model`.
        epochs: int, epochs of the run.
        steps: int, steps of an epoch.
        total_steps: int, steps of the run, whose last epoch may be shorter.
        waiting_seconds: callable giving the seconds waited for data so far, or None.
    """

    def __init__(self, callbacks, model, epochs, steps, total_steps, waiting_seconds=None):
        super().__init__(callbacks, add_history=True, model=model)
        self._params = {
            "epochs": epochs,
            "steps": steps,
            "total_steps": total_steps,
            "waiting_seconds": waiting_seconds,
        }
        self._first_batch = 0
        self._metrics = None
        self._begun = False
        self.set_params({**self._params, "first_batch": 0})

    def begin_within(self, batch, metrics):
        """The next epoch begins at a batch, with the metrics of the ones before it.

        Args:
            batch: int from 1.
            metrics: list of arrays, values of `model.metrics_variables`.
        """
        self._first_batch, self._metrics = batch, metrics
        self.set_params({**self._params, "first_batch": batch})

    def begin_evaluation(self):
        """Tells it to those that have a method `on_evaluation_begin`.

        Keras' own `on_test_begin` would have its TensorBoard write other tags.
        """
        for callback in self.callbacks:
            if hasattr(callback, "on_evaluation_begin"):
                callback.on_evaluation_begin()

    def finish(self):
        """The end of the run."""
        super().on_train_end()

    def on_train_begin(self, logs=None):
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        """Nothing: a fit has ended, see `finish`."""

    def on_epoch_begin(self, epoch, logs=None):
        if self._metrics is not None:
            # Keras has just set them to zero.
            for variable, value in zip(self.model.metrics_variables, self._metrics):
                variable.assign(value)
            self._metrics = None
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self._first_batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self._first_batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self._first_batch:
            self._first_batch = 0
            self.set_params({**self._params, "first_batch": 0})


class Evaluate(keras.callbacks.Callback):
    """Adds the figures of a function to the logs of an epoch, and leaves no other trace.

    Where several processes train together, each calls the function, which must return the same in
    all of them.

    Args:
        evaluate: callable `(epoch) -> dict` from name to number.
        every: int, epochs between evaluations.
        epochs: int, epochs of the run; the last one is evaluated always.
        ema: the `EMA` whose average is evaluated, or None for the weights.
        announce: callable without arguments, called before each evaluation.
    """

    def __init__(self, evaluate, every, epochs, ema=None, announce=lambda: None):
        super().__init__()
        self.evaluate = evaluate
        self.announce = announce
        self.every = every
        self.epochs = epochs
        self.ema = ema

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every and epoch + 1 != self.epochs:
            return
        self.announce()
        # Seeds and counters, which a model may move on when it is called.
        counters = [
            v
            for v in variable_keys(self.model).values()
            if not keras.backend.is_float_dtype(v.dtype)
        ]
        kept = [keras.ops.copy(v) for v in counters]
        with self.ema.applied() if self.ema is not None else contextlib.nullcontext():
            logs.update(self.evaluate(epoch))
        for variable, value in zip(counters, kept):
            variable.assign(value)


class SaveState(keras.callbacks.Callback):
    """Writes the state of a run every so many steps and at each epoch's end.

    It ends the run when that is asked for, after a step or, where that is the last of an epoch,
    after the epoch's evaluation.

    Args:
        state: a `RunState`.
        steps: int, steps of the run.
        steps_per_epoch: int.
        every: int, steps between states within an epoch; None for none.
        stop: a `StopRequest`, or None.

    Raises:
        TrainingStopped: `stop` asked for it; the state is on disk.
    """

    def __init__(self, state, steps, steps_per_epoch, every, stop=None):
        super().__init__()
        self.state = state
        self.steps = steps
        self.steps_per_epoch = steps_per_epoch
        self.every = every
        self.stop = stop or StopRequest()

    def on_train_begin(self, logs=None):
        self._saved = self.state.done
        if not self.state.done:
            # A run that dies in its first steps can be continued like any other.
            self.state.save(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._batch = batch + 1
        done = self._epoch * self.steps_per_epoch + self._batch
        if self._batch == self.steps_per_epoch or done >= self.steps:
            return  # What an epoch's end adds is saved there.
        stopping = self._asked()
        if stopping or (self.every and done - self._saved >= self.every):
            model = self.model
            self._save(model, done, model.metrics_variables)
        if stopping:
            self._end()

    def on_epoch_end(self, epoch, logs=None):
        self.state.logs = dict(logs or {})
        self._save(self.model, epoch * self.steps_per_epoch + self._batch)
        if self._asked():
            self._end()

    def _asked(self):
        """Whether this process, or another that trains with it, is to stop."""
        self.stop.signal = highest(self.stop.signal or 0) or None
        return self.stop.signal is not None

    def _end(self):
        raise TrainingStopped(
            f"Stopped by {self.stop.name} after step {self.state.done} of {self.steps}, which is "
            "saved. Continue the run with --resume (run.resume=true).",
            self.stop.signal,
        )

    def _save(self, model, done, metrics=None):
        state = self.state
        state.done, self._saved = done, done
        state.epoch, state.batch = divmod(done, self.steps_per_epoch)
        state.save(model, metrics)
