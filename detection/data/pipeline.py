"""The input pipeline on tf.data."""

import numpy as np
import tensorflow as tf

from detection.data.plan import BatchPlan
from detection.data.rows import RowMaker

_TARGETS = {
    "boxes": tf.float32,
    "classes": tf.int32,
    "is_crowd": tf.bool,
    "index": tf.int32,
    "scale": tf.float32,
}


def tf_pipeline(dataset, config, training, start_epoch=0, start_batch=0, endless=None):
    """Batches of a data set as a `tf.data.Dataset`.

    The plan of each epoch (see `plan.py`) says which images are read, how they are augmented and
    what they are padded to; reading, resizing, augmenting and batching run in parallel. The order
    is deterministic: starting at batch `k` gives exactly what follows `k` batches. The pixels are
    those of `PyDatasetLoader`, whose functions do the work here, too.

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
    maker = RowMaker(dataset, plan)
    endless = training if endless is None else endless
    first = start_epoch * plan.steps_per_epoch + start_batch
    last = np.iinfo("int64").max if endless else (start_epoch + 1) * plan.steps_per_epoch

    def make(position):
        x, y = maker.batch(*divmod(int(position), plan.steps_per_epoch))
        return [x["images"], x["image_sizes"], *(y[name] for name in _TARGETS)]

    size, rows = config.batch_size, plan.max_boxes
    canvas = plan.shapes[0].tolist() if len(plan.shapes) == 1 else (None, None)
    shapes = [(size, *canvas, 3), (size, 2)]
    shapes += [(size, rows, 4), (size, rows), (size, rows), (size,), (size, 2)]

    def read(position):
        dtypes = [maker.dtype, tf.int32, *_TARGETS.values()]
        columns = tf.numpy_function(make, [position], dtypes, stateful=False)
        for column, shape in zip(columns, shapes):
            column.set_shape(shape)
        images, sizes, *targets = columns
        return {"images": images, "image_sizes": sizes}, dict(zip(_TARGETS, targets))

    batches = tf.data.Dataset.range(first, last)
    batches = batches.map(read, num_parallel_calls=maker.batches, deterministic=True)
    steps = tf.data.INFINITE_CARDINALITY if endless else plan.steps_per_epoch - start_batch
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    batches = batches.prefetch(tf.data.AUTOTUNE)
    batches.steps_per_epoch = plan.steps_per_epoch
    batches.plan = plan
    return batches
