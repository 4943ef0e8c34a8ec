"""RoIAlign: features of a fixed size for boxes of any size."""

from keras import ops

from detection import _tensorflow
from detection.boxes import area

_FAR_OUTSIDE = -1e6  # pixels


def roi_align(features, boxes, spatial_scale, output_size=7, sampling_ratio=2, aligned=True):
    """Pool one feature map inside boxes by bilinear interpolation.

    Every box is divided into `output_size x output_size` bins and every bin is the mean of
    `sampling_ratio x sampling_ratio` evenly spaced samples. Samples more than one cell outside the
    map are zero, and so is all of a box with a coordinate that is not finite. Gradients flow to
    the features, not to the boxes.

    Args:
        features: float tensor `[B, H, W, C]`; H and W may be dynamic.
        boxes: float tensor `[B, N, 4]`, pixels of the image.
        spatial_scale: float, cells of the map in one pixel of the image, e.g. `1 / 16`.
        output_size: int, bins along each side.
        sampling_ratio: int >= 1, samples along each side of a bin.
        aligned: bool; True places the centre of the first pixel at 0 (half a pixel less than
            without), False is the older form, in which boxes are also at least one cell large.

    Returns:
        Tensor `[B, N, output_size, output_size, C]` of the features' dtype.

    Raises:
        ValueError: if `output_size` or `sampling_ratio` is not a positive int.

    Reference:
        He et al. 2017 (Mask R-CNN), section 3.

    Example:
        >>> image = np.arange(25, dtype="float32").reshape(1, 5, 5, 1)
        >>> roi_align(image, np.array([[[1.0, 1, 3, 3]]]), 1.0, output_size=4)[0, 0, 0, :, 0]
        # [4.5, 5.0, 5.5, 6.0]
    """
    boxes = ops.cast(boxes, "float32")
    levels = ops.zeros_like(boxes[..., 0], dtype="int32")
    return _align(
        [features], boxes, levels, [1.0 / spatial_scale], output_size, sampling_ratio, aligned
    )


def multilevel_roi_align(
    features,
    boxes,
    strides,
    output_size=7,
    sampling_ratio=2,
    aligned=True,
    canonical_size=224,
    canonical_level=4,
    min_level=2,
    epsilon=1e-8,
):
    """RoIAlign on the level of a pyramid that fits each box's size.

    A box goes to level `floor(canonical_level + log2(sqrt(area) / canonical_size + epsilon))`,
    clamped to the levels given.

    Args:
        features: list of float tensors `[B, H, W, C]`, finest first: levels `min_level`,
            `min_level + 1`, ...
        boxes: float tensor `[B, N, 4]`, pixels of the image.
        strides: list of numbers, pixels of the image in one cell of each level.
        output_size, sampling_ratio, aligned: as in `roi_align`.
        canonical_size: float, side in pixels of a square box that goes to `canonical_level`.
        canonical_level: int.
        min_level: int, number of the first level.
        epsilon: float.

    Returns:
        Tensor `[B, N, output_size, output_size, C]` of the features' dtype.

    Raises:
        ValueError: if `features` and `strides` differ in length.

    Reference:
        Lin et al. 2017 (FPN), equation 1.

    Example:
        >>> maps = [np.ones((1, 32, 32, 8), "float32"), np.ones((1, 16, 16, 8), "float32")]
        >>> multilevel_roi_align(maps, np.array([[[0.0, 0, 60, 60]]]), [4, 8]).shape
        (1, 1, 7, 7, 8)
    """
    features = list(features)
    if len(features) != len(strides) or not features:
        raise ValueError(
            "`features` and `strides` must have one entry for every level. "
            f"Received: {len(features)} feature maps, strides={strides}"
        )
    boxes = ops.cast(boxes, "float32")
    levels = _assign_levels(
        boxes, len(features), canonical_size, canonical_level, min_level, epsilon
    )
    return _align(features, boxes, levels, strides, output_size, sampling_ratio, aligned)


def _assign_levels(boxes, num_levels, canonical_size, canonical_level, min_level, epsilon):
    # Comparing with powers of two is the floor of the logarithm without its rounding, which
    # differs between backends just where boxes have a power of two as side.
    size = ops.sqrt(area(boxes)) / canonical_size + epsilon
    levels = ops.zeros_like(size, dtype="int32")
    for level in range(min_level + 1, min_level + num_levels):
        levels = levels + ops.cast(size >= 2.0 ** (level - canonical_level), "int32")
    return levels


def _align(features, boxes, levels, strides, output_size, sampling_ratio, aligned):
    for name, value in (("output_size", output_size), ("sampling_ratio", sampling_ratio)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"`{name}` must be a positive int. Received: {name}={value}")
    features = [ops.convert_to_tensor(feature) for feature in features]
    strides = [float(stride) for stride in strides]
    # The kernel refuses such boxes; out here they pool nothing.
    finite = ops.all(ops.isfinite(boxes), axis=-1, keepdims=True)
    boxes = ops.stop_gradient(ops.where(finite, boxes, _FAR_OUTSIDE))
    align = _tensorflow.multilevel_roi_align if _tensorflow.kernels_available() else _gather_align
    return align(features, boxes, levels, strides, output_size, sampling_ratio, aligned)


def _gather_align(features, boxes, levels, strides, output_size, sampling_ratio, aligned):
    """RoIAlign as weighted sums of rows of one table, which holds all levels and images."""
    channels = features[0].shape[-1]
    # float32, because in 16 bits the gradients of overlapping boxes would not add up.
    table = ops.concatenate(
        [ops.reshape(ops.cast(feature, "float32"), (-1, channels)) for feature in features], axis=0
    )
    height, width, offset, stride = _level_geometry(features, levels, strides)
    grid = (output_size, sampling_ratio, aligned)
    rows, row_weights = _taps(boxes[..., 1], boxes[..., 3], stride, height, *grid)
    columns, column_weights = _taps(boxes[..., 0], boxes[..., 2], stride, width, *grid)
    rows = offset[..., None, None] + rows * width[..., None, None]
    pooled = _weighted_rows(table, rows, row_weights, columns, column_weights)
    return ops.cast(pooled, features[0].dtype)


def _weighted_rows(table, rows, row_weights, columns, column_weights):
    """Sum the table's entries at `rows + columns` over the taps of every bin.

    The terms are added one by one. Left to differentiate that itself, a backend would make one
    gradient of the whole table for every term; here all terms are scattered into one.

    Args:
        table: float32 tensor `[T, C]`.
        rows, columns: int32 tensors `[B, N, output_size, taps]`.
        row_weights, column_weights: float32 tensors of the same shape.

    Returns:
        float32 tensor `[B, N, output_size, output_size, C]`.
    """
    taps, channels, length = rows.shape[-1], table.shape[-1], ops.shape(table)[0]

    @ops.custom_gradient
    def pool(table):
        total = 0.0
        for i in range(taps):
            for j in range(taps):
                index = rows[..., :, None, i] + columns[..., None, :, j]
                weight = row_weights[..., :, None, i] * column_weights[..., None, :, j]
                total = total + ops.take(table, index, axis=0) * weight[..., None]

        def gradient(upstream):
            index = rows[..., :, None, :, None] + columns[..., None, :, None, :]
            weight = row_weights[..., :, None, :, None] * column_weights[..., None, :, None, :]
            update = upstream[..., None, None, :] * weight[..., None]
            return ops.segment_sum(
                ops.reshape(update, (-1, channels)), ops.reshape(index, (-1,)), length
            )

        return total, gradient

    return pool(table)


def _level_geometry(features, levels, strides):
    """Height, width, first row in the table and stride for every box, `[B, N]` each."""
    batch = ops.shape(levels)[0]
    image = ops.arange(batch, dtype="int32")[:, None]
    zero = ops.zeros_like(levels)
    height, width, offset = zero, zero, zero
    stride = ops.zeros_like(levels, dtype="float32")
    first = 0
    for level, feature in enumerate(features):
        level_height, level_width = ops.shape(feature)[1], ops.shape(feature)[2]
        here = levels == level
        height = ops.where(here, level_height, height)
        width = ops.where(here, level_width, width)
        offset = ops.where(here, first + image * (level_height * level_width), offset)
        stride = ops.where(here, strides[level], stride)
        first = first + batch * level_height * level_width
    return height, width, offset, stride


def _taps(low, high, stride, extent, output_size, sampling_ratio, aligned):
    """Cells that contribute to every bin along one axis, and their weights.

    A sample lies between two cells, so a bin has `2 * sampling_ratio` taps:
    `[B, N, output_size, 2 * sampling_ratio]`, int32 and float32.
    """
    grid = output_size * sampling_ratio
    half_pixel = 0.5 if aligned else 0.0
    start = low / stride - half_pixel
    size = high / stride - half_pixel - start
    if not aligned:
        size = ops.maximum(size, 1.0)
    middle = ops.cast(ops.arange(grid, dtype="int32"), "float32") + 0.5
    position = start[..., None] + middle * (size / grid)[..., None]
    extent = extent[..., None]
    limit = ops.cast(extent, "float32")
    # False for NaN too, whose conversion to an index is undefined.
    inside = (position >= -1.0) & (position <= limit)
    position = ops.where(inside, position, 0.0)
    position = ops.minimum(ops.maximum(position, 0.0), limit - 1.0)
    first = ops.cast(ops.floor(position), "int32")
    second = ops.minimum(first + 1, extent - 1)
    fraction = position - ops.cast(first, "float32")
    share = ops.cast(inside, "float32") / sampling_ratio
    batch, count = ops.shape(low)[0], ops.shape(low)[1]
    shape = (batch, count, output_size, 2 * sampling_ratio)
    cells = ops.reshape(ops.stack([first, second], axis=-1), shape)
    weights = ops.reshape(ops.stack([(1.0 - fraction) * share, fraction * share], axis=-1), shape)
    return cells, weights
