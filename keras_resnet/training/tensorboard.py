"""TensorBoard logs where the packages for them are installed."""

import contextlib
import os
import pathlib
import struct

import keras

from keras_resnet.training.write_errors import writing

_OTHERWISE = "Training without TensorBoard is train.tensorboard=false."


@contextlib.contextmanager
def _writing_events(folder):
    """`writing` that also says what TensorFlow's errors in it mean."""
    import tensorflow as tf

    with writing(folder, _OTHERWISE):
        try:
            yield
        except tf.errors.OpError as error:
            # On a full disk an OutOfRangeError, with the name of a node and maybe no word.
            text = (error.message or "").split("}} ")[-1].split("\n")[0]
            text = f"TensorFlow's {type(error).__name__} {text}"
            raise OSError(text.rstrip(" .")) from error


def _in_words(name):
    """A method of Keras' callback that says what TensorFlow's errors in it mean."""
    method = getattr(keras.callbacks.TensorBoard, name)

    def call(self, *arguments, **options):
        with _writing_events(self.log_dir):
            return method(self, *arguments, **options)

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


class Pictures:
    """Pictures for TensorBoard, in event files of their own.

    TensorFlow's writer says nothing of a picture that did not fit on the disk, so what it wrote
    is looked at.

    Args:
        folder: path of the event files, made with the first picture.

    Example:
    ```python
    pictures = Pictures("runs/a/tensorboard/validation")
    pictures.add("detections", image, step=0)
    pictures.close()
    ```
    """

    _SUFFIX = ".pictures.v2"

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._writer = None

    def add(self, tag, picture, step):
        """Writes a picture, to the disk.

        Args:
            tag: str, its name.
            picture: uint8 array `(H, W, 3)`.
            step: int.

        Raises:
            WriteError: It could not be written, or not whole.
        """
        import tensorflow as tf

        before = self._sizes()
        with _writing_events(self._folder), tf.device("CPU:0"):
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(
                    str(self._folder), filename_suffix=self._SUFFIX
                )
            with self._writer.as_default():
                tf.summary.image(tag, picture[None], step=step)
            self._writer.flush()
            grown = [item for item in self._sizes().items() if item[1] > before.get(item[0], 0)]
            if not grown or not all(_ends_whole(path, before.get(path, 0)) for path, _ in grown):
                raise OSError("a picture did not arrive whole, as on a full disk")

    def close(self):
        """Closes the file."""
        if self._writer is not None:
            with _writing_events(self._folder):
                self._writer.close()

    def _sizes(self):
        return {path: path.stat().st_size for path in self._folder.glob(f"*{self._SUFFIX}")}


def _ends_whole(path, start):
    """Whether the records of an event file, of which one begins at `start`, end with the file."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        # The length of the content and a checksum of it, the content, and a checksum.
        while start + 12 <= size:
            file.seek(start)
            start += 16 + struct.unpack("<Q", file.read(8))[0]
    return start == size


def _importable(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True
