"""TensorFlow kernels for the two operations that are slow in `keras.ops` without XLA.

Nothing here is needed: every operation has a `keras.ops` form, which other backends and XLA use.
TensorFlow is imported inside the functions only.
"""

import contextlib

import keras

# Up to this many images the loop over a batch is unrolled, so that its kernels run side by side.
_UNROLLED_IMAGES = 32

_sparse_allowed = True


@contextlib.contextmanager
def without_sparse_kernels():
    """Within it no sparse matrices are used, which other runtimes than TensorFlow do not have."""
    global _sparse_allowed
    before, _sparse_allowed = _sparse_allowed, False
    try:
        yield
    finally:
        _sparse_allowed = before


def kernels_available():
    """True if TensorFlow kernels without XLA form may be used at this point.

    That is on the TensorFlow backend, eagerly or in a graph that is not compiled by XLA.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    try:
        import tensorflow as tf
        from tensorflow.python.ops import control_flow_util
    except ImportError:
        return False
    if tf.executing_eagerly():
        return True
    return not control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def nms(boxes, scores, iou_threshold, max_output, classes=None):
    """Greedy suppression by the TensorFlow kernel, image by image.

    Args:
        boxes: float32 tensor `[B, N, 4]`, pixels, finite.
        scores: float32 tensor `[B, N]`; -inf marks rows that must not be chosen.
        iou_threshold: float.
        max_output: int.
        classes: int32 tensor `[B, N]` or None.

    Returns:
        `(indices, valid)`, int32 and bool `[B, max_output]`.
    """
    import tensorflow as tf

    if classes is not None:
        boxes = _separate_classes(boxes, scores, classes)

    def one_image(inputs):
        image_boxes, image_scores = inputs
        indices, count = tf.raw_ops.NonMaxSuppressionV4(
            boxes=image_boxes,
            scores=image_scores,
            max_output_size=max_output,
            iou_threshold=tf.constant(iou_threshold, "float32"),
            score_threshold=tf.constant(-float("inf"), "float32"),
            pad_to_max_output_size=True,
        )
        return indices, tf.range(max_output) < count

    if boxes.shape[0] is not None and boxes.shape[0] <= _UNROLLED_IMAGES:
        results = [one_image((boxes[i], scores[i])) for i in range(boxes.shape[0])]
        indices, valid = tf.stack([r[0] for r in results]), tf.stack([r[1] for r in results])
    else:
        indices, valid = tf.map_fn(
            one_image,
            (boxes, scores),
            fn_output_signature=(
                tf.TensorSpec([max_output], tf.int32),
                tf.TensorSpec([max_output], tf.bool),
            ),
        )
    # The GPU kernel ignores an infinite score threshold; masked rows come last, so drop them here.
    chosen = tf.gather(scores, tf.where(valid, indices, 0), batch_dims=1)
    valid = valid & (chosen > -float("inf"))
    return tf.where(valid, indices, 0), valid


def _separate_classes(boxes, scores, classes):
    """Move boxes of different classes apart, so that they cannot overlap.

    The classes go on a square grid around the origin: the offsets stay sqrt(K) times smaller than
    on a line, and with them the rounding of float32 (below 1e-3 pixel for 100 classes).
    """
    import tensorflow as tf

    usable = (scores > -float("inf"))[..., None]
    boxes = tf.where(usable, boxes, 0.0)
    classes = tf.where(usable[..., 0], tf.cast(classes, tf.int32), 0)
    classes -= tf.reduce_min(classes)
    # A pixel more than the extent, and whole, so that offsets themselves are exact.
    cell = tf.math.ceil(tf.reduce_max(boxes) - tf.reduce_min(boxes)) + 1.0
    side = tf.cast(tf.math.ceil(tf.sqrt(tf.cast(tf.reduce_max(classes) + 1, tf.float32))), tf.int32)
    place = tf.stack([classes % side, classes // side], axis=-1) - side // 2
    offset = tf.cast(place, tf.float32) * cell
    return boxes + tf.concat([offset, offset], axis=-1)


def sparse_kernels_available():
    """True if `weighted_rows` may be used: where TensorFlow kernels may, without a GPU.

    On a GPU the order in which the kernel adds up is not fixed.
    """
    if not _sparse_allowed or not kernels_available():
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


def weighted_rows(table, rows, weights):
    """Sums of weighted rows of a table, without a copy of the rows.

    Args:
        table: float32 tensor `[T, C]`.
        rows: int32 tensor `[R, K]`, indices into T.
        weights: float32 tensor `[R, K]`.

    Returns:
        float32 tensor `[R, C]`: the sum over K of `weights * table[rows]`.
    """
    import tensorflow as tf

    matrix = _sparse_matrix(rows, weights, tf.shape(table)[0])
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=table)


def spread_rows(values, rows, weights, count):
    """The transpose of `weighted_rows`: adds weighted values to the rows of an empty table.

    Every row is the work of one thread and adds up in order, so results repeat bit for bit.

    Args:
        values: float32 tensor `[R, C]`.
        rows, weights: as in `weighted_rows`.
        count: int or int32 scalar, T.

    Returns:
        float32 tensor `[T, C]`.
    """
    import tensorflow as tf

    matrix = _sparse_matrix(rows, weights, count)
    # Not `transpose_a`, with which threads add up parts of the same row.
    matrix = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=values)


def _sparse_matrix(columns, values, width):
    """The matrix `[R, width]` with these values in these columns `[R, K]`, by compressed rows."""
    import tensorflow as tf

    height = tf.shape(columns, tf.int64)[0]
    columns = tf.cast(columns, tf.int64)
    row = tf.broadcast_to(tf.range(height)[:, None], tf.shape(columns, tf.int64))
    places = tf.stack([tf.reshape(row, (-1,)), tf.reshape(columns, (-1,))], axis=-1)
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=places,
        values=tf.reshape(values, (-1,)),
        dense_shape=tf.stack([height, tf.cast(width, tf.int64)]),
    )
