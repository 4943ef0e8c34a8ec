"""How long training waits for its data."""

import contextlib
import time

import keras


class InputWait:
    """Sums up the time that `model.fit` spends waiting for the next batch.

    On JAX whatever feeds `fit` is measured, by the clock around each fetch. TensorFlow fetches
    batches inside its compiled step, so there the clock is part of the input pipeline, which must
    be a `tf.data.Dataset`; the readings cost a few microseconds a step. TensorFlow has no
    measurement under a strategy of several replicas, for each of which batches are fetched ahead,
    nor where it has to be deterministic, which forbids clocks.

    Example:
    ```python
    waiting = InputWait()
    batches = waiting.measured(batches)
    with waiting.watching(model):
        model.fit(batches, callbacks=[waiting.callback()])
    waiting.seconds()
    ```
    """

    def __init__(self):
        self._seconds = 0.0
        self._variable = None
        self._original = None
        self.works = keras.backend.backend() == "jax"

    def seconds(self):
        """Seconds waited so far: float."""
        if self._variable is not None:
            return float(self._variable.numpy())
        return self._seconds

    def measured(self, batches):
        """Batches to give to `fit` instead of others.

        Args:
            batches: whatever `fit` accepts.

        Returns:
            A `tf.data.Dataset` of the same elements, or `batches`.
        """
        if keras.backend.backend() != "tensorflow":
            return batches
        import tensorflow as tf
        from tensorflow.python.framework.config import is_op_determinism_enabled

        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        if not isinstance(batches, tf.data.Dataset) or not alone or is_op_determinism_enabled():
            return batches
        if self._variable is None:
            with tf.device("CPU:0"):
                self._variable = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.works = True

        def read(_):
            return tf.timestamp()

        def add(before, batch, after):
            self._variable.assign_add(after - before)
            return batch

        clock = tf.data.Dataset.range(2**62).map(read)
        # TensorFlow would fetch ahead after the clock; what it gains thereby is put before it.
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        ahead = batches.prefetch(tf.data.AUTOTUNE)
        # A zipped data set asks its parts for their elements one after the other.
        return tf.data.Dataset.zip(clock, ahead, clock).map(add).with_options(options)

    @contextlib.contextmanager
    def watching(self, model):
        """Within it, fits of a model are measured, given `callback()` as a callback."""
        try:
            yield
        finally:
            if self._original is not None:
                model.train_function, self._original = self._original, None

    def callback(self):
        """The callback that takes its place between `fit` and its data: a Keras callback."""
        return _Watch(self)

    def _watch(self, model):
        if keras.backend.backend() != "jax" or self._original is not None:
            return
        self._original = original = model.train_function
        model.train_function = lambda state, iterator: original(state, _Timed(iterator, self))


class _Watch(keras.callbacks.Callback):
    def __init__(self, waiting):
        super().__init__()
        self.waiting = waiting

    def on_train_begin(self, logs=None):
        # Only now Keras has made the function.
        self.waiting._watch(self.model)


class _Timed:
    def __init__(self, iterator, waiting):
        self._iterator, self._waiting = iterator, waiting

    def __iter__(self):
        return self

    def __next__(self):
        start = time.perf_counter()
        try:
            return next(self._iterator)
        finally:
            self._waiting._seconds += time.perf_counter() - start
