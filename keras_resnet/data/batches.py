"""Making batches for the current backend."""

import itertools

import keras


def make_batches(
    dataset, config, training, start_epoch=0, start_batch=0, endless=None, share=(0, 1)
):
    """Batches for the current Keras backend, to be passed to `fit`.

    Batch `k` of epoch `e` follows from (seed, e, k) alone, so that a run continued at a batch
    sees exactly what it would have seen.

    A batch is a pair `(x, y)`: `x` are images `(B, S, S, 3)`, uint8, and `y` their labels, int32
    `(B,)`. Where the configuration mixes images, `x` is float32, 0..255, and `y` float32
    `(B, classes)`, in training. All batches have the same shape: in evaluation the last one is
    filled up with black images of the label -1, which loss and metrics must leave out (as
    `keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)` does). Evaluation labels are
    always int32.

    Args:
        dataset: an `ImageDataset`.
        config: a `ClassificationPipelineConfig`.
        training: bool, whether to shuffle, augment and mix.
        start_epoch, start_batch: ints, the first batch.
        endless: bool, whether to go on with the next epochs; by default `training`.
        share: `(index, count)`, which process of how many this is: it gets its rows of each batch.
            More than one process needs a `PyDatasetLoader`.

    Returns:
        `tf_pipeline(...)` on the TensorFlow backend of one process, else a `PyDatasetLoader`. Both
        have
        `steps_per_epoch`, `plan` and `rows(epoch, batch)`, the positions of a batch's images.

    Raises:
        ValueError: a start outside the epoch, fewer images than one batch.

    Example:
    >>> from keras_resnet.data.config import ClassificationPipelineConfig
    >>> from keras_resnet.data.dataset import ImageDataset
    >>> data = ImageDataset("blank", ["a"], [0] * 5, images=np.zeros((5, 32, 32, 3), "uint8"))
    >>> config = ClassificationPipelineConfig(batch_size=2, image_size=32, crop="pad_crop")
    >>> batches = make_batches(data, config, training=False)
    >>> [y.tolist() for _, y in numpy_batches(batches)]
    [[0, 0], [0, 0], [0, -1]]
    """
    position = (start_epoch, start_batch, endless)
    if keras.backend.backend() == "tensorflow" and tuple(share) == (0, 1):
        from keras_resnet.data.pipeline import tf_pipeline

        return tf_pipeline(dataset, config, training, *position)
    from keras_resnet.data.loader import PyDatasetLoader

    return PyDatasetLoader(dataset, config, training, *position, share)


def numpy_batches(batches):
    """Iterates over what `make_batches` returned, as NumPy arrays on any backend.

    Args:
        batches: a `tf.data.Dataset` or a `keras.utils.PyDataset`.

    Yields:
        Pairs `(x, y)` of NumPy arrays, without end for batches without end.
    """
    if hasattr(batches, "as_numpy_iterator"):
        yield from batches.as_numpy_iterator()
        return
    for position in itertools.count() if batches.num_batches is None else range(len(batches)):
        yield batches[position]
