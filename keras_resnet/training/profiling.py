"""A profile of a few steps of training."""

import keras

WARM_UP = 5  # Steps before, which compile and fill queues.


class Profile(keras.callbacks.Callback):
    """Profiles a few steps by the profiler of TensorFlow or JAX.

    What it writes is shown by TensorBoard with the package `tensorboard-plugin-profile`, and by
    XProf: where the time of a step goes on the device and on the host.

    Args:
        folder: path of the folder of TensorBoard's logs; `plugins/profile` is made in it.
        steps: int, how many steps, from the sixth one that this process runs on; fewer where the
            training is shorter.
        say: callable that prints a line.

    Raises:
        ValueError: `steps` is below 1, or the backend has no profiler.

    Example:
    ```python
    model.fit(data, callbacks=[Profile("runs/a/tensorboard", steps=10)])
    ```
    """

    def __init__(self, folder, steps=10, say=print):
        super().__init__()
        if steps < 1 or keras.backend.backend() not in ("tensorflow", "jax"):
            raise ValueError(
                "A profile has at least one step, and the backend must be TensorFlow or JAX. "
                f"Received: steps={steps}, backend={keras.backend.backend()}"
            )
        self.folder, self.steps = str(folder), steps
        self._say = say
        self._seen, self._running, self._done = 0, False, False

    def on_train_batch_begin(self, batch, logs=None):
        if self._seen >= WARM_UP and not self._running and not self._done:
            self._first = batch
            self._start()
            self._running = True

    def on_train_batch_end(self, batch, logs=None):
        # With several steps an execution, `batch` is the last of them.
        self._seen += 1
        if self._running and batch + 1 - self._first >= self.steps:
            self._end()

    def on_epoch_end(self, epoch, logs=None):
        if self._running:
            self._end()

    def _end(self):
        # Steps are handed to accelerators before they are done.
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        if keras.backend.backend() == "jax":
            import jax

            jax.profiler.stop_trace()
        else:
            import tensorflow as tf

            tf.profiler.experimental.stop()
        self._running, self._done = False, True
        self._say(f"profile written: {self.folder}/plugins/profile")

    def _start(self):
        if keras.backend.backend() == "jax":
            import jax

            jax.profiler.start_trace(self.folder)
        else:
            import tensorflow as tf

            tf.profiler.experimental.start(self.folder)
