"""Opens the images that a configuration names and makes batches of them."""

import keras
import numpy as np

from keras_resnet.data.cifar import load_cifar
from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.device import DeviceBatches, DeviceImages
from keras_resnet.data.record_files import tfds_arguments

# Data sets up to this size stay on the device.
DEVICE_BYTES = 2**30
# The settings of the pipeline that `DeviceFeed` knows.
_DEVICE_KEYS = {
    "batch_size",
    "image_size",
    "crop",
    "padding",
    "padding_value",
    "horizontal_flip",
    "seed",
}


# As the readers call it.
_VERIFY = {"decode": "decode", "headers": "header", "off": None}


def open_images(config, split):
    """Opens one split.

    Args:
        config: an `ImagesConfig`.
        split: `"train"` or `"val"`.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: the data are not there or cannot be used.
    """
    name = getattr(config, split)
    if config.format == "npz":
        from keras_resnet.data.arrays import load_npz

        return load_npz(config.root, name)
    if config.format in ("cifar10", "cifar100"):
        return load_cifar(config.root, name, classes=int(config.format[5:]))
    if config.format == "folder":
        from keras_resnet.data.folder import load_folder

        return load_folder(
            config.root,
            name,
            verify=_VERIFY[config.verify],
            max_bad_images=config.max_bad_images,
            follow_links=config.follow_links,
        )
    from keras_resnet.data.tfds import load_tfds

    with tfds_arguments("data.download=true", "data.root"):
        return load_tfds(
            config.name,
            name,
            data_dir=config.root,
            download=config.download,
            max_bad_images=config.max_bad_images,
            verify=_VERIFY[config.verify],
        )


def on_device(config, dataset):
    """Whether the images of a data set are kept on the device.

    Raises:
        ValueError: it was asked for and is not possible.
    """
    defaults = ClassificationPipelineConfig().model_dump()
    others = {k for k, v in config.pipeline.model_dump().items() if v != defaults[k]} - _DEVICE_KEYS
    possible = (
        dataset.images is not None
        and config.pipeline.crop in ("pad_crop", "none")
        and not others
        and dataset.images.shape[1:3] == (config.pipeline.image_size,) * 2
    )
    if config.loader == "device" and not possible:
        raise ValueError(
            "`data.loader: device` needs images of `image_size` in memory (npz, cifar) and no "
            "augmentation but `crop: pad_crop` and `horizontal_flip`. Received: "
            f"format={config.format!r}, crop={config.pipeline.crop!r}, "
            f"image_size={config.pipeline.image_size}, also set: {', '.join(sorted(others))}"
        )
    fits = possible and dataset.images.nbytes <= DEVICE_BYTES
    return config.loader == "device" or (config.loader == "auto" and fits)


def normalization(config, dataset):
    """Mean and standard deviation to normalise by, on the scale 0..255.

    Returns:
        `(mean, std)`: float32 arrays `(3,)` or, for a mean image, `(H, W, 3)`; and `(3,)`.
    """
    images = dataset.images
    measured = "channel" in (config.mean, config.std) or config.mean == "per_pixel"
    if measured and images is None:
        raise ValueError(
            "`data.mean` and `data.std` are measured for images of one size in memory only; give "
            "three numbers, for ImageNet mean [123.675, 116.28, 103.53] and std [58.395, 57.12, "
            f"57.375]. Received: mean={config.mean!r}, std={config.std!r}"
        )
    mean = {"per_pixel": (0,), "channel": (0, 1, 2)}.get(config.mean)
    mean = config.mean if mean is None else images.mean(axis=mean, dtype="float64")
    std = images.std(axis=(0, 1, 2), dtype="float64") if config.std == "channel" else config.std
    return np.asarray(mean, "float32"), np.asarray(std, "float32")


class DeviceFeed:
    """Training and evaluation on images that stay on the device.

    Args:
        config: an `ImagesConfig`.
        model: the model from images to logits.
        train, val: `ImageDataset`s; `train` may be None.
        seed: int.
        evaluation_batch: int.
        fill: colour of what a crop takes from beyond the border, int for each channel; that of
            the configuration comes first.
        share: `(index, count)`, which process of how many this is; `training_batches` with `whole`
            are those of all.
    """

    def __init__(self, config, model, train, val, seed, evaluation_batch, fill, share=(0, 1)):
        self._train, self._val = train, val
        self._batch, self._evaluation_batch = config.pipeline.batch_size, evaluation_batch
        self._share = tuple(share)
        padding = config.pipeline.padding if config.pipeline.crop == "pad_crop" else 0
        self._options = {
            "padding": padding,
            "flip": config.pipeline.horizontal_flip,
            "seed": seed if config.pipeline.seed is None else config.pipeline.seed,
        }
        fill = config.pipeline.padding_value or fill
        layer = DeviceImages(train.images, padding=padding, fill=fill, name="train_images")
        self.training_model = _from_positions(layer, model, "training")
        self.evaluation_model = _from_positions(DeviceImages(val.images), model, "evaluation")

    def training_batches(self, start_epoch=0, start_batch=0, whole=False):
        return DeviceBatches(
            self._train,
            self._batch,
            training=True,
            start_epoch=start_epoch,
            start_batch=start_batch,
            share=(0, 1) if whole else self._share,
            **self._options,
        )

    def evaluation_batches(self):
        return DeviceBatches(self._val, self._evaluation_batch, training=False, share=self._share)


class PipelineFeed:
    """Training and evaluation on images that an input pipeline reads; arguments as above."""

    def __init__(self, config, model, train, val, seed, evaluation_batch, fill, share=(0, 1)):
        self._share = tuple(share)
        update = {"padding_value": config.pipeline.padding_value or tuple(map(int, fill))}
        if config.pipeline.seed is None:
            update["seed"] = seed
        self._train, self._val = train, val
        self._config = config.pipeline.model_copy(update=update)
        self._evaluation_config = self._config.model_copy(update={"batch_size": evaluation_batch})
        self.training_model = self.evaluation_model = model

    def training_batches(self, start_epoch=0, start_batch=0, whole=False):
        from keras_resnet.data.batches import make_batches

        return make_batches(
            self._train,
            self._config,
            training=True,
            start_epoch=start_epoch,
            start_batch=start_batch,
            share=(0, 1) if whole else self._share,
        )

    def evaluation_batches(self):
        from keras_resnet.data.batches import make_batches

        return make_batches(self._val, self._evaluation_config, training=False, share=self._share)


def _from_positions(layer, model, name):
    inputs = {
        "index": keras.Input((), dtype="int32", name="index"),
        "offset": keras.Input((2,), dtype="int32", name="offset"),
        "flip": keras.Input((), dtype="int32", name="flip"),
    }
    return keras.Model(inputs, model(layer(inputs)), name=name)
