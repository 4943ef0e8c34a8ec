"""An exponential moving average of all weights, beside the weights that are trained."""

import contextlib

import keras
from keras import ops

from keras_resnet.training.variable_keys import variable_keys


class EMA(keras.callbacks.Callback):
    """Keeps an exponential moving average of all float weights, norm statistics included.

    Every `every` steps `average += (1 - decay) * (weight - average)`; the average begins as the
    weights are when training begins. `loop.fit` keeps it in the state of the run, and evaluates
    and saves it in place of the weights as `evaluate` and `save` say; training goes on with the
    weights themselves. (The average of Keras' optimizers leaves out the norm statistics.)

    Args:
        decay: float in [0, 1).
        every: int, steps between updates. Where several steps are one execution, the updates that
            fall into it are made at its end, with the weights there.
        evaluate: bool, whether `fit` evaluates the average.
        save: bool, whether the `Checkpoints` beside it save the average as `best` and `last`.

    Raises:
        ValueError: a decay outside [0, 1) or `every` below 1.

    Example:
    ```python
    ema = EMA(decay=0.999, every=4)
    fit(model, make_batches, steps=1000, folder="runs/a", callbacks=[ema])
    with ema.applied():
        model.predict(images)
    ```
    """

    def __init__(self, decay, every=1, evaluate=True, save=True):
        super().__init__()
        if not 0 <= decay < 1 or every < 1:
            raise ValueError(
                "`decay` must be in [0, 1) and `every` at least 1. "
                f"Received: decay={decay}, every={every}"
            )
        self.decay = float(decay)
        self.every = int(every)
        self.evaluate = evaluate
        self.save = save
        self._averages = None

    def set_model(self, model):
        super().set_model(model)
        if self._averages is not None:
            return
        self._variables = {
            key: variable
            for key, variable in variable_keys(model).items()
            if keras.backend.is_float_dtype(variable.dtype)
        }
        # In 16 bits small updates would be lost. A copy, because JAX gives a weight's buffer away.
        self._averages = {
            key: keras.Variable(
                ops.copy(ops.cast(variable, _wide(variable.dtype))), trainable=False, name="average"
            )
            for key, variable in self._variables.items()
        }
        self._update = _compiled(_towards)

    def run_variables(self):
        """What belongs to the state of a run: dict from name to `keras.Variable`."""
        return self._averages

    def on_epoch_begin(self, epoch, logs=None):
        self._done = epoch * (self.params["steps"] or 0) + self.params.get("first_batch", 0)
        self._epoch_start = self._done - self.params.get("first_batch", 0)

    def on_train_batch_end(self, batch, logs=None):
        before, self._done = self._done, self._epoch_start + batch + 1
        updates = self._done // self.every - before // self.every
        if updates:
            self.model  # noqa: B018 - on JAX this brings the weights of the last step into it
            share = ops.convert_to_tensor(1.0 - self.decay**updates, "float32")
            averages = [v.value for v in self._averages.values()]
            weights = [v.value for v in self._variables.values()]
            values = self._update(averages, weights, share)
            for average, value in zip(self._averages.values(), values):
                average.assign(value)

    @contextlib.contextmanager
    def applied(self):
        """Within it, the weights of the model are the average."""
        kept = [ops.copy(v) for v in self._variables.values()]
        for variable, average in zip(self._variables.values(), self._averages.values()):
            variable.assign(ops.cast(ops.copy(average), variable.dtype))
        try:
            yield
        finally:
            for variable, value in zip(self._variables.values(), kept):
                variable.assign(value)


def _wide(dtype):
    return "float64" if dtype == "float64" else "float32"


def _towards(averages, weights, share):
    # In this form an average of something that does not change does not change either.
    return [
        average + ops.cast(share, average.dtype) * (ops.cast(weight, average.dtype) - average)
        for average, weight in zip(averages, weights)
    ]


def _compiled(function):
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return function
