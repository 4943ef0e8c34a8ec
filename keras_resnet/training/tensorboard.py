"""TensorBoard logs where the packages for them are installed."""

import os
import pathlib

import keras

from keras_resnet.training.write_errors import writing

_OTHERWISE = "Training without TensorBoard is train.tensorboard=false."


def _in_words(name):
    """A method of Keras' callback that says what TensorFlow's errors in it mean."""
    method = getattr(keras.callbacks.TensorBoard, name)

    def call(self, *arguments, **options):
        import tensorflow as tf

        with writing(self.log_dir, _OTHERWISE):
            try:
                return method(self, *arguments, **options)
            except tf.errors.OpError as error:
                # On a full disk an OutOfRangeError, with the name of a node and maybe no word.
                text = (error.message or "").split("}} ")[-1].split("\n")[0]
                text = f"TensorFlow's {type(error).__name__} {text}"
                raise OSError(text.rstrip(" .")) from error

    return call


class _TensorBoard(keras.callbacks.TensorBoard):
    on_train_begin = _in_words("on_train_begin")
    on_train_batch_end = _in_words("on_train_batch_end")
    on_epoch_end = _in_words("on_epoch_end")
    on_train_end = _in_words("on_train_end")


def tensorboard_callback(folder, **options):
    """Keras' TensorBoard callback, or the reason why there is none.

    Args:
        folder: folder of the event files.
        **options: arguments of `keras.callbacks.TensorBoard`.

    Returns:
        Tuple `(callback, None)`, or `(None, note)` with one line for the user if `tensorflow` or
        `tensorboard` is not installed.

    Raises:
        WriteError: `folder` cannot be written to. The callback raises it later, too, where
            TensorFlow's own error says nothing.

    Example:
    ```python
    callback, note = tensorboard_callback("runs/a/tensorboard")
    ```
    """
    missing = [name for name in ("tensorflow", "tensorboard") if not _importable(name)]
    if missing:
        return None, f"No TensorBoard logs: {' and '.join(missing)} not installed."
    probe = pathlib.Path(folder) / f".{os.getpid()}.tmp"
    with writing(folder, _OTHERWISE):
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.unlink(missing_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    if keras.backend.backend() != "tensorflow":
        import tensorflow as tf

        # TensorFlow only writes files here; it must not take the accelerator's memory.
        tf.config.set_visible_devices([], "GPU")
    return _TensorBoard(log_dir=str(folder), **options), None


def _importable(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True
