"""TensorBoard logs where the packages for them are installed."""

import os
import pathlib

import keras

from keras_resnet.training.write_errors import writing


def tensorboard_callback(folder, **options):
    """Keras' TensorBoard callback, or the reason why there is none.

    Args:
        folder: folder of the event files.
        **options: arguments of `keras.callbacks.TensorBoard`.

    Returns:
        Tuple `(callback, None)`, or `(None, note)` with one line for the user if `tensorflow` or
        `tensorboard` is not installed.

    Raises:
        WriteError: `folder` cannot be written to, which TensorFlow would say later, or not at all.

    Example:
    ```python
    callback, note = tensorboard_callback("runs/a/tensorboard")
    ```
    """
    missing = [name for name in ("tensorflow", "tensorboard") if not _importable(name)]
    if missing:
        return None, f"No TensorBoard logs: {' and '.join(missing)} not installed."
    probe = pathlib.Path(folder) / f".{os.getpid()}.tmp"
    with writing(folder, "Training without TensorBoard is train.tensorboard=false."):
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    if keras.backend.backend() != "tensorflow":
        import tensorflow as tf

        # TensorFlow only writes files here; it must not take the accelerator's memory.
        tf.config.set_visible_devices([], "GPU")
    return keras.callbacks.TensorBoard(log_dir=str(folder), **options), None


def _importable(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True
