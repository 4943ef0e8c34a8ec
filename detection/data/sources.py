"""Opening a data set by the name of its format, and making batches for the current backend."""

import itertools

import keras

from detection.data.coco import load_coco
from detection.data.csv_boxes import load_csv
from detection.data.shapes import load_shapes
from detection.data.tfds import load_tfds
from detection.data.voc import load_voc
from detection.data.yolo import load_yolo

_FORMATS = {
    "coco": load_coco,
    "voc": load_voc,
    "yolo": load_yolo,
    "csv": load_csv,
    "tfds": load_tfds,
    "shapes": load_shapes,
}


def load_dataset(format, **options):
    """Reads a data set of a named format.

    Args:
        format: `"coco"`, `"voc"`, `"yolo"`, `"csv"`, `"tfds"` or `"shapes"` (the sample set).
        **options: Arguments of `load_coco`, `load_voc`, `load_yolo`, `load_csv`, `load_tfds` or
            `load_shapes`.

    Returns:
        A `DetectionDataset`.

    Raises:
        ValueError: If the format is not known.

    Example:

    ```python
    dataset = load_dataset("voc", root="VOCdevkit/VOC2007", split="trainval")
    ```
    """
    if format not in _FORMATS:
        raise ValueError(f"`format` must be one of {sorted(_FORMATS)}. Received: format={format!r}")
    return _FORMATS[format](**options)


def make_batches(
    dataset, config, training, start_epoch=0, start_batch=0, endless=None, share=(0, 1)
):
    """Batches for the current Keras backend, to be passed to `fit`.

    Args:
        dataset: A `DetectionDataset`.
        config: A `DataPipelineConfig`.
        training: Boolean, whether to shuffle and augment.
        start_epoch: Integer, the first epoch.
        start_batch: Integer, the first batch of the first epoch.
        endless: Boolean, whether to go on with the next epochs. Defaults to `training`.
        share: `(index, count)`, which process of how many this is: it gets its rows of each batch.
            More than one process needs a `PyDatasetLoader`.

    Returns:
        `tf_pipeline(...)` on the TensorFlow backend of one process, else a `PyDatasetLoader`. Both
        have the
        attributes `steps_per_epoch` and `plan`.
    """
    position = (start_epoch, start_batch, endless)
    if keras.backend.backend() == "tensorflow" and tuple(share) == (0, 1):
        from detection.data.pipeline import tf_pipeline

        return tf_pipeline(dataset, config, training, *position)
    from detection.data.loader import PyDatasetLoader

    return PyDatasetLoader(dataset, config, training, *position, share)


def numpy_batches(batches):
    """Iterates over what `make_batches` returned, as NumPy arrays on any backend.

    Args:
        batches: A `tf.data.Dataset` or a `PyDatasetLoader`.

    Yields:
        Pairs `(x, y)` of dicts of NumPy arrays.
    """
    if hasattr(batches, "as_numpy_iterator"):
        yield from batches.as_numpy_iterator()
        return
    for position in itertools.count() if batches.num_batches is None else range(len(batches)):
        yield batches[position]
