"""Small data sets kept on the device: images are cropped and flipped inside the compiled step."""

import keras
import numpy as np
from keras import ops

from keras_resnet.data.order import AUGMENTATION, epoch_order
from keras_resnet.data.share import rows_of_share


@keras.saving.register_keras_serializable(package="keras_resnet")
class DeviceImages(keras.layers.Layer):
    """Holds all images of a data set and cuts out what a batch asks for.

    Crops may reach over the border by `padding` pixels, which have the colour `fill` there.
    Training then sends a few integers a step to the device instead of images, and needs no input
    pipeline. The images are a non-trainable uint8 weight that belongs to no checkpoint.

    Args:
        images: uint8 array `(N, H, W, C)`, or the shape of one, to be filled later.
        padding: int, pixels that a crop may reach over the border.
        fill: int 0..255 or one for each channel.

    Call arguments:
        inputs: dict of int32 tensors: `"index"` `(B,)`, `"offset"` `(B, 2)` from 0 to
            `2 * padding` (y, x; `padding` is the middle), `"flip"` `(B,)`, 1 to mirror left and
            right.

    Returns:
        uint8 `(B, H, W, C)`.

    Raises:
        ValueError: images that are no uint8 array of rank 4, or a negative padding.

    Example:
    >>> import numpy as np
    >>> layer = DeviceImages(np.arange(48, dtype="uint8").reshape(1, 4, 4, 3), padding=1)
    >>> crop = layer({"index": np.array([0]), "offset": np.array([[1, 1]]), "flip": np.array([1])})
    >>> int(crop[0, 0, 0, 0]), int(crop[0, 0, 3, 0])
    (9, 0)
    """

    # Neither checkpoints nor saved models hold the data set.
    _keras_resnet_transient = True

    def __init__(self, images, padding=0, fill=0, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.autocast = False
        shape = tuple(images) if isinstance(images, (tuple, list)) else images.shape
        given = None if isinstance(images, (tuple, list)) else images
        if len(shape) != 4 or (given is not None and given.dtype != np.uint8):
            raise ValueError(
                "`images` must be a uint8 array of the shape (count, height, width, channels). "
                f"Received: shape {tuple(shape)}, dtype {getattr(given, 'dtype', None)}"
            )
        if padding < 0:
            raise ValueError(f"`padding` must be >= 0. Received: padding={padding}")
        self.image_shape = tuple(int(n) for n in shape)
        self.padding = int(padding)
        self.fill = tuple(int(v) for v in np.broadcast_to(fill, self.image_shape[3]))
        count, height, width, channels = self.image_shape
        # One pixel a row: cropping is one gather.
        self.pixels = self.add_weight(
            shape=(count * height * width, channels),
            dtype="uint8",
            initializer="zeros",
            trainable=False,
            name="pixels",
        )
        if given is not None:
            self.pixels.assign(given.reshape(-1, channels))
        self.built = True

    def call(self, inputs):
        _, height, width, channels = self.image_shape
        index, offset, flip = (ops.cast(inputs[k], "int32") for k in ("index", "offset", "flip"))
        x = ops.arange(width, dtype="int32")[None]
        x = ops.where(flip[:, None] > 0, width - 1 - x, x) + offset[:, 1:] - self.padding
        y = ops.arange(height, dtype="int32")[None] + offset[:, :1] - self.padding
        inside_y, inside_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
        y, x = ops.clip(y, 0, height - 1), ops.clip(x, 0, width - 1)
        rows = (index[:, None, None] * height + y[:, :, None]) * width + x[:, None, :]
        images = ops.take(self.pixels, ops.reshape(rows, (-1,)), axis=0)
        images = ops.reshape(images, (-1, height, width, channels))
        if not self.padding:
            return images
        inside = (inside_y[:, :, None] & inside_x[:, None, :])[..., None]
        fill = ops.convert_to_tensor(np.array(self.fill, "uint8"))
        return ops.where(inside, images, fill)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs["index"].shape[0], *self.image_shape[1:]), "uint8")

    def save_own_variables(self, store):
        """Nothing: the images are data, not what was learned."""

    def load_own_variables(self, store):
        """Nothing, see `save_own_variables`."""

    def get_config(self):
        return {
            **super().get_config(),
            "images": self.image_shape,
            "padding": self.padding,
            "fill": self.fill,
        }


class DeviceBatches(keras.utils.PyDataset):
    """Batches of positions, crop offsets and flips for a `DeviceImages` layer.

    Batch `k` of an epoch follows from (seed, epoch, k). In training the last images of an epoch
    that fill no batch are left out of it (the order is new in each epoch); outside, the last
    batch is filled up with the label -1.

    Args:
        dataset: An `ImageDataset`.
        batch_size: int.
        training: bool, shuffle and augment, epoch after epoch without end.
        padding: int, as for `DeviceImages`; training draws offsets from 0 to `2 * padding`.
        flip: float, probability of mirroring in training.
        seed: int.
        start_epoch, start_batch: ints, the first batch.
        share: `(index, count)`, which process of how many this is: it reads its rows of each
            batch. The batches themselves are the same for any number of processes.

    Returns (by index):
        `(x, y)`: the dict that `DeviceImages` takes and int32 labels `(B,)`.

    Raises:
        ValueError: fewer images than a training batch, or a start outside the epoch.

    Example:
    ```python
    batches = DeviceBatches(dataset, 128, training=True, padding=4, flip=0.5)
    model.fit(batches, steps_per_epoch=batches.steps_per_epoch, epochs=10)
    ```
    """

    def __init__(
        self,
        dataset,
        batch_size,
        training,
        padding=0,
        flip=0.0,
        seed=0,
        start_epoch=0,
        start_batch=0,
        share=(0, 1),
    ):
        super().__init__(workers=1)
        count = len(dataset)
        self.steps_per_epoch = count // batch_size if training else -(-count // batch_size)
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"{dataset.name} has {count} images, fewer than one batch; lower `batch_size`. "
                f"Received: batch_size={batch_size}"
            )
        if start_epoch < 0 or not 0 <= start_batch < self.steps_per_epoch:
            raise ValueError(
                f"The start must be a batch of an epoch, 0 <= start_batch < "
                f"{self.steps_per_epoch}. Received: start_epoch={start_epoch}, "
                f"start_batch={start_batch}"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.training = training
        self._padding, self._flip, self._seed = padding, flip, seed
        self._start = start_epoch * self.steps_per_epoch + start_batch
        self._rows = rows_of_share(batch_size, share)
        self._epoch = None

    @property
    def num_batches(self):
        """Number of batches that Keras takes; None for no end."""
        return None if self.training else self.steps_per_epoch

    def __len__(self):
        return self.steps_per_epoch

    def __getitem__(self, item):
        epoch, batch = divmod(self._start + item, self.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, *self._draw(epoch))
        _, index, offset, flip = self._epoch
        first = batch * self.batch_size
        rows = slice(first + self._rows.start, first + self._rows.stop)
        index, offset, flip = index[rows], offset[rows], flip[rows]
        labels = np.where(index < 0, -1, self.dataset.labels[index]).astype("int32")
        return {"index": np.maximum(index, 0), "offset": offset, "flip": flip}, labels

    def rows(self, epoch, batch):
        """Positions in the data set of the images of a batch, for messages."""
        index = epoch_order(len(self.dataset), self._seed, epoch, self.training)
        return index[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _draw(self, epoch):
        count, filled = len(self.dataset), self.steps_per_epoch * self.batch_size
        index = epoch_order(count, self._seed, epoch, shuffle=self.training)
        if not self.training:
            index = np.concatenate([index, np.full(filled - count, -1, "int32")])
            offset = np.full((filled, 2), self._padding, "int32")
            return index, offset, np.zeros(filled, "int32")
        # Row i of the draws belongs to image i, wherever it comes in the order.
        draws = np.random.default_rng([self._seed, epoch, AUGMENTATION]).random((count, 3))
        offset = (draws[:, :2] * (2 * self._padding + 1)).astype("int32")
        flip = (draws[:, 2] < self._flip).astype("int32")
        return index, offset[index], flip[index]
