"""Data for classification: readers, order and augmentation of images with one label each."""

from keras_resnet.data.arrays import from_arrays, load_npz
from keras_resnet.data.batches import make_batches, numpy_batches
from keras_resnet.data.cifar import load_cifar
from keras_resnet.data.config import ClassificationPipelineConfig, RandAugmentConfig
from keras_resnet.data.dataset import ImageDataset
from keras_resnet.data.errors import DataError
from keras_resnet.data.evaluation import centre_crop, rescale, ten_crop
from keras_resnet.data.folder import load_folder
from keras_resnet.data.tfds import load_tfds

__all__ = [
    "ClassificationPipelineConfig",
    "DataError",
    "ImageDataset",
    "RandAugmentConfig",
    "centre_crop",
    "from_arrays",
    "load_cifar",
    "load_folder",
    "load_npz",
    "load_tfds",
    "make_batches",
    "numpy_batches",
    "rescale",
    "ten_crop",
]
