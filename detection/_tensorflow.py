"""TensorFlow kernels for the two operations that are slow in `keras.ops` without XLA.

Nothing here is needed: every operation has a `keras.ops` form, which other backends and XLA use.
TensorFlow is imported inside the functions only.
"""

import keras

# Up to this many images the loop over a batch is unrolled, so that its kernels run side by side.
_UNROLLED_IMAGES = 32


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


def multilevel_roi_align(features, boxes, levels, strides, output_size, sampling_ratio, aligned):
    """RoIAlign through `tf.image.crop_and_resize`, exact.

    The samples of RoIAlign form one even grid a box, which that kernel interpolates if the box
    given to it runs from the first sample to the last. A border of one replicated pixel turns its
    rule for positions outside the map into that of RoIAlign.

    Args:
        features: list of float tensors `[B, H, W, C]`.
        boxes: float32 tensor `[B, N, 4]`, pixels of the image.
        levels: int32 tensor `[B, N]`, index into `features`.
        strides: list of floats, pixels of the image in one cell.
        output_size, sampling_ratio, aligned: as in `detection.roi_align.roi_align`.

    Returns:
        Tensor `[B, N, output_size, output_size, C]` of the features' dtype.
    """
    import tensorflow as tf

    shape = tf.shape(boxes)
    rows = tf.reshape(tf.stop_gradient(boxes), (-1, 4))
    images = tf.reshape(tf.broadcast_to(tf.range(shape[0])[:, None], shape[:2]), (-1,))
    if len(features) == 1:
        crops = _crop(features[0], rows, images, strides[0], output_size, sampling_ratio, aligned)
    else:
        levels = tf.reshape(levels, (-1,))
        places, parts = [], []
        for level, (feature, stride) in enumerate(zip(features, strides)):
            place = tf.where(levels == level)[:, 0]
            places.append(tf.cast(place, tf.int32))
            parts.append(
                _crop(
                    feature,
                    tf.gather(rows, place),
                    tf.gather(images, place),
                    stride,
                    output_size,
                    sampling_ratio,
                    aligned,
                )
            )
        order = tf.math.invert_permutation(tf.concat(places, axis=0))
        crops = tf.gather(tf.concat(parts, axis=0), order)
    crops = tf.ensure_shape(crops, (None, output_size, output_size, features[0].shape[-1]))
    static = (boxes.shape[0], boxes.shape[1], *crops.shape[1:])
    crops = tf.reshape(crops, tf.concat([shape[:2], tf.shape(crops)[1:]], axis=0))
    return tf.ensure_shape(crops, static)


def _crop(feature, rows, images, stride, output_size, sampling_ratio, aligned):
    import tensorflow as tf

    dtype = feature.dtype
    grid = output_size * sampling_ratio
    half_pixel = 0.5 if aligned else 0.0
    start = rows[:, :2] / stride - half_pixel
    size = rows[:, 2:] / stride - half_pixel - start
    if not aligned:
        size = tf.maximum(size, 1.0)
    step = size / grid
    first = start + 0.5 * step + 1.0  # + 1 for the border
    last = first + step * (grid - 1)
    # Symmetric padding by one repeats the outermost pixel.
    padded = tf.pad(
        tf.cast(feature, tf.float32), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="SYMMETRIC"
    )
    extent = tf.cast(tf.shape(padded)[1:3] - 1, tf.float32)[::-1]
    first, last = first / extent, last / extent
    corners = tf.stack([first[:, 1], first[:, 0], last[:, 1], last[:, 0]], axis=-1)
    samples = tf.image.crop_and_resize(padded, corners, images, (grid, grid))
    if sampling_ratio > 1:
        samples = tf.nn.avg_pool2d(samples, sampling_ratio, sampling_ratio, "VALID")
    return tf.cast(samples, dtype)
