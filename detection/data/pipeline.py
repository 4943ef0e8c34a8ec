"""The input pipeline on tf.data."""

import numpy as np
import tensorflow as tf

from detection.data.examples import View, empty_targets, make_cache, make_targets
from detection.data.plan import BatchPlan

_GREY = (0.299, 0.587, 0.114)


def tf_pipeline(dataset, config, training, start_epoch=0, start_batch=0, endless=None):
    """Batches of a data set as a `tf.data.Dataset`.

    The plan of each epoch (see `plan.py`) says which images are read, how they are augmented and
    what they are padded to; reading, resizing, augmenting and batching run in parallel. The order
    is deterministic: starting at batch `k` gives exactly what follows `k` batches. Files are
    decoded by Pillow, so that every format and EXIF orientation means the same as elsewhere, and
    an image that does not decode is named in the error.

    Args:
        dataset: A `DetectionDataset`.
        config: A `DataPipelineConfig`.
        training: Boolean, whether to shuffle and augment.
        start_epoch: Integer, the first epoch.
        start_batch: Integer, the first batch of the first epoch.
        endless: Boolean, whether to go on with the next epochs. Defaults to `training`.

    Returns:
        A `tf.data.Dataset` of pairs `(x, y)`: `x["images"]` `(B, H, W, 3)` uint8 or float32
        0..255, `x["image_sizes"]` int32 `(B, 2)`; `y["boxes"]` float32 `(B, M, 4)`,
        `y["classes"]` int32 `(B, M)` padded with -1, `y["is_crowd"]` bool `(B, M)`, `y["index"]`
        int32 `(B,)`, `y["scale"]` float32 `(B, 2)`. It has the attributes `steps_per_epoch` and
        `plan`.

    Raises:
        ValueError: If the start lies outside the epoch.

    Example:

    ```python
    batches = tf_pipeline(dataset, DataPipelineConfig(batch_size=4), training=True)
    model.fit(batches, steps_per_epoch=batches.steps_per_epoch, epochs=12)
    ```
    """
    plan = BatchPlan(dataset, config, training)
    plan.check_start(start_epoch, start_batch)
    endless = training if endless is None else endless
    cache = make_cache(dataset, config, training)
    parallel = config.workers or tf.data.AUTOTUNE
    last_epoch = np.iinfo("int64").max if endless else start_epoch + 1

    def rows_of(epoch):
        def read_plan(epoch):
            rows = plan.epoch(int(epoch))
            first = start_batch * config.batch_size if epoch == start_epoch else 0
            return [column[first:] for column in rows]

        dtypes = [tf.int32, tf.int32, tf.int32, tf.bool, tf.float32, tf.int32, tf.int32]
        columns = tf.numpy_function(read_plan, [epoch], dtypes, stateful=False)
        for column, width in zip(columns, (None, 2, 2, 2, 3, 2, 2)):
            column.set_shape((None,) if width is None else (None, width))
        return tf.data.Dataset.from_tensor_slices(tuple(columns))

    read_row = _row_reader(dataset, plan, cache)
    batches = tf.data.Dataset.range(start_epoch, last_epoch).flat_map(rows_of)
    batches = batches.map(read_row, num_parallel_calls=parallel, deterministic=True)
    # Every batch of the plan is full and of one shape.
    batches = batches.batch(config.batch_size, drop_remainder=True)
    steps = tf.data.INFINITE_CARDINALITY if endless else plan.steps_per_epoch - start_batch
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    batches = batches.prefetch(tf.data.AUTOTUNE)
    batches.steps_per_epoch = plan.steps_per_epoch
    batches.plan = plan
    return batches


def _row_reader(dataset, plan, cache):
    """Returns the function from a row of the plan to a row of a batch."""
    config = plan.config
    dtype = config.dtype(plan.training)
    colourful = config.has_colour_jitter(plan.training)
    static = tuple(plan.shapes[0]) if len(plan.shapes) == 1 else (None, None)
    names = ("boxes", "classes", "is_crowd", "index", "scale")

    def read(index, size, flips, resized, offset):
        if index < 0:
            image, targets = np.zeros((*size, 3), "uint8"), empty_targets(plan.max_boxes)
        else:
            image = cache.read(int(index))
            record = dataset.records[index]
            view = View(*(tuple(pair.tolist()) for pair in (resized, offset, size, flips)))
            targets = make_targets(record, index, view, plan.max_boxes, plan.min_box)
        return [image, *(targets[name] for name in names)]

    def read_row(index, size, bucket, flips, colour, resized, offset):
        dtypes = [tf.uint8, tf.float32, tf.int32, tf.bool, tf.int32, tf.float32]
        row = [index, size, flips, resized, offset]
        image, *targets = tf.numpy_function(read, row, dtypes, stateful=False)
        image.set_shape((None, None, 3))
        image = _resize(image, resized)
        if plan.min_box is not None:
            image = tf.slice(image, [offset[0], offset[1], 0], [size[0], size[1], 3])
        if dtype == "uint8":
            image = _round(image)
        image = tf.cond(flips[0], lambda: tf.reverse(image, [1]), lambda: image)
        image = tf.cond(flips[1], lambda: tf.reverse(image, [0]), lambda: image)
        if colourful:
            image = _jitter_colour(tf.cast(image, tf.float32), colour)
            image = _round(image) if dtype == "uint8" else image
        padding = [[0, bucket[0] - size[0]], [0, bucket[1] - size[1]], [0, 0]]
        image = tf.ensure_shape(tf.pad(image, padding), (*static, 3))
        y = dict(zip(names, targets))
        rows = plan.max_boxes
        for name, shape in zip(names, ((rows, 4), (rows,), (rows,), (), (2,))):
            y[name].set_shape(shape)
        return {"images": image, "image_sizes": size}, y

    return read_row


def _resize(image, size):
    same = tf.reduce_all(tf.equal(tf.shape(image)[:2], size))
    resized = tf.cond(
        same,
        lambda: tf.cast(image, tf.float32),
        lambda: tf.image.resize(image, size, method="bilinear", antialias=False),
    )
    return tf.ensure_shape(resized, (None, None, 3))


def _round(image):
    return tf.cast(tf.round(image), tf.uint8)


def _jitter_colour(image, factors):
    """The formulas of `transforms.jitter_colour`."""
    image = image * factors[0]
    mean = tf.reduce_mean(tf.tensordot(image, _GREY, 1))
    image = (image - mean) * factors[1] + mean
    grey = tf.tensordot(image, _GREY, 1)[..., None]
    return tf.clip_by_value((image - grey) * factors[2] + grey, 0, 255)
