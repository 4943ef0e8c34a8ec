"""The input pipeline on tf.data."""

import numpy as np

from keras_resnet.data.mixing import mix
from keras_resnet.data.plan import BatchPlan
from keras_resnet.data.rows import RowMaker


def tf_pipeline(dataset, config, training, start_epoch=0, start_batch=0, endless=None):
    """Batches of labelled images as a `tf.data.Dataset`.

    Reading, augmenting and mixing run in parallel, ahead of the model. Order and randomness are
    those of the plan: starting at batch `k` gives exactly what follows `k` batches, and the
    pixels are those of `PyDatasetLoader`, whose functions do the work here, too.

    Args:
        dataset: an `ImageDataset`.
        config: a `ClassificationPipelineConfig`.
        training: bool, whether to shuffle, augment and mix.
        start_epoch, start_batch: ints, the first batch.
        endless: bool, whether to go on with the next epochs; by default `training`.

    Returns:
        A `tf.data.Dataset` of pairs `(x, y)` as described at `make_batches`, with the attributes
        `steps_per_epoch` and `plan`.

    Raises:
        ValueError: a start outside the epoch, fewer images than one batch.

    Example:
    ```python
    batches = tf_pipeline(dataset, ClassificationPipelineConfig(batch_size=256), training=True)
    model.fit(batches, steps_per_epoch=batches.steps_per_epoch, epochs=90)
    ```
    """
    import tensorflow as tf

    plan = BatchPlan(dataset, config, training)
    plan.check_start(start_epoch, start_batch)
    maker = RowMaker(dataset, plan)
    endless = training if endless is None else endless
    parallel = config.workers or tf.data.AUTOTUNE
    steps, size, chunks = plan.steps_per_epoch, maker.size, config.batch_size // maker.chunk
    classes = len(dataset.class_names)
    mixes = training and config.mixes
    first = start_epoch * steps + start_batch
    last = np.iinfo("int64").max // chunks if endless else (start_epoch + 1) * steps

    def chunk_of(number):
        position, chunk = divmod(int(number), chunks)
        return maker.chunk_of(*divmod(position, steps), chunk)

    def read(number):
        images, labels = tf.numpy_function(chunk_of, [number], [tf.uint8, tf.int32], stateful=False)
        images.set_shape((maker.chunk, size, size, 3))
        labels.set_shape((maker.chunk,))
        return images, labels

    def join(images, labels):
        return tf.reshape(images, (-1, size, size, 3)), tf.reshape(labels, (-1,))

    def mixed(position, batch):
        def apply(position, images, labels):
            return mix(images, labels, classes, plan.mixing(*divmod(int(position), steps)))

        images, labels = tf.numpy_function(
            apply, [position, *batch], [tf.float32, tf.float32], stateful=False
        )
        images.set_shape((config.batch_size, size, size, 3))
        labels.set_shape((config.batch_size, classes))
        return images, labels

    batches = tf.data.Dataset.range(first * chunks, last * chunks)
    batches = batches.map(read, num_parallel_calls=parallel, deterministic=True)
    batches = batches.batch(chunks, drop_remainder=True).map(join)
    if mixes:
        positions = tf.data.Dataset.range(first, last)
        batches = tf.data.Dataset.zip(positions, batches)
        batches = batches.map(mixed, num_parallel_calls=parallel, deterministic=True)
    count = tf.data.INFINITE_CARDINALITY if endless else steps - start_batch
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    batches = batches.prefetch(tf.data.AUTOTUNE)
    batches.steps_per_epoch = steps
    batches.plan = plan
    batches.rows = plan.rows
    return batches
