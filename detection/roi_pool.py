"""RoIPool: the maximum of the features in every part of a box, as Fast R-CNN had it."""

import math

from keras import ops

from detection.roi_levels import assign_levels, level_geometry

_FAR_OUTSIDE = -1e6  # pixels
# Cells along a side, where the size of the map is not known when the graph is made.
_LARGEST_MAP = 256


def roi_pool(features, boxes, spatial_scale, output_size=7):
    """Pool one feature map inside boxes by maxima.

    Corners are rounded to cells, both ends included; every box is divided into `output_size x
    output_size` bins, which overlap by a cell where the division leaves a rest. Bins outside the
    map are zero, and so is all of a box with a coordinate that is not finite. Gradients flow to
    the features, not to the boxes.

    The division is exact. That of torchvision, in float32, widens the last bin by one cell at
    some sizes (31 and 57 cells in 7 bins).

    Args:
        features: float tensor `[B, H, W, C]`; H and W may be dynamic and then at most 256.
        boxes: float tensor `[B, N, 4]`, pixels of the image. Boxes must not be larger than the
            map, as clipped boxes never are, or the middle of their bins is left out.
        spatial_scale: float, cells of the map in one pixel of the image, e.g. `1 / 16`.
        output_size: int, bins along each side.

    Returns:
        Tensor `[B, N, output_size, output_size, C]` of the features' dtype.

    Raises:
        ValueError: if `output_size` is not a positive int.

    Reference:
        Girshick 2015 (Fast R-CNN), section 2.1.

    Example:

    >>> image = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    >>> pooled = roi_pool(image, np.array([[[0.0, 0, 3, 3]]]), 1.0, output_size=2)
    >>> np.asarray(pooled)[0, 0, :, :, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    boxes = ops.cast(boxes, "float32")
    levels = ops.zeros_like(boxes[..., 0], dtype="int32")
    return _pool([features], boxes, levels, [1.0 / spatial_scale], output_size)


def multilevel_roi_pool(
    features,
    boxes,
    strides,
    output_size=7,
    canonical_size=224,
    canonical_level=4,
    min_level=2,
    epsilon=1e-8,
):
    """RoIPool on the level of a pyramid that fits each box's size.

    Args:
        features: list of float tensors `[B, H, W, C]`, finest first.
        boxes: float tensor `[B, N, 4]`, pixels of the image, inside it.
        strides: list of numbers, pixels of the image in one cell of each level.
        output_size: int, bins along each side.
        canonical_size, canonical_level, min_level, epsilon: as in `roi_levels.assign_levels`.

    Returns:
        Tensor `[B, N, output_size, output_size, C]` of the features' dtype.

    Raises:
        ValueError: if `features` and `strides` differ in length.

    Example:

    >>> maps = [np.ones((1, 32, 32, 8), "float32"), np.ones((1, 16, 16, 8), "float32")]
    >>> tuple(multilevel_roi_pool(maps, np.array([[[0.0, 0, 60, 60]]]), [4, 8]).shape)
    (1, 1, 7, 7, 8)
    """
    features = list(features)
    if len(features) != len(strides) or not features:
        raise ValueError(
            "`features` and `strides` must have one entry for every level. "
            f"Received: {len(features)} feature maps, strides={strides}"
        )
    boxes = ops.cast(boxes, "float32")
    levels = assign_levels(
        boxes, len(features), canonical_size, canonical_level, min_level, epsilon
    )
    return _pool(features, boxes, levels, strides, output_size)


def _pool(features, boxes, levels, strides, output_size):
    if not isinstance(output_size, int) or isinstance(output_size, bool) or output_size < 1:
        raise ValueError(
            f"`output_size` must be a positive int. Received: output_size={output_size}"
        )
    features = [ops.convert_to_tensor(feature) for feature in features]
    finite = ops.all(ops.isfinite(boxes), axis=-1, keepdims=True)
    boxes = ops.stop_gradient(ops.where(finite, boxes, _FAR_OUTSIDE))
    powers = _powers(features, output_size)
    table, length = _maxima(features, powers)
    height, width, offset, stride = level_geometry(features, levels, [float(s) for s in strides])
    top, bottom = _bins(boxes[..., 1], boxes[..., 3], stride, height, output_size)
    left, right = _bins(boxes[..., 0], boxes[..., 2], stride, width, output_size)
    # Two overlapping windows whose sides are powers of two cover a bin along each axis.
    rows, row_power = _windows(top, bottom, powers)
    columns, column_power = _windows(left, right, powers)
    part = row_power[..., :, None] * powers + column_power[..., None, :]
    first = part * length + offset[..., None, None]
    pooled = None
    for row in rows:
        for column in columns:
            place = row[..., :, None] * width[..., None, None] + column[..., None, :]
            value = ops.take(table, first + place, axis=0)
            pooled = value if pooled is None else ops.maximum(pooled, value)
    empty = (bottom <= top)[..., :, None] | (right <= left)[..., None, :]
    pooled = ops.where(empty[..., None], 0.0, pooled)
    return ops.cast(pooled, features[0].dtype)


def _powers(features, output_size):
    """How many powers of two, from 1 on, are not larger than the largest bin."""
    sizes = [size for feature in features for size in feature.shape[1:3]]
    largest = _LARGEST_MAP if None in sizes else max(sizes)
    return int(math.log2(-(-(largest + 1) // output_size) + 1)) + 1


def _maxima(features, powers):
    """Maxima over windows of all pairs of powers of two, for every cell as top left corner.

    Returns:
        `(table, length)`: float32 `[powers * powers * length, C]`, and the number of cells of all
        levels and images together. Beyond the border the windows see nothing.
    """
    channels = features[0].shape[-1]
    parts = [[] for _ in range(powers * powers)]
    for feature in features:
        # float32, because in 16 bits the gradients of overlapping boxes would not add up.
        tall = ops.cast(feature, "float32")
        for i in range(powers):
            if i:
                tall = _with_shifted(tall, 2 ** (i - 1), axis=1)
            wide = tall
            for j in range(powers):
                if j:
                    wide = _with_shifted(wide, 2 ** (j - 1), axis=2)
                parts[i * powers + j].append(ops.reshape(wide, (-1, channels)))
    length = sum(ops.shape(level)[0] for level in parts[0])
    return ops.concatenate([level for part in parts for level in part], axis=0), length


def _with_shifted(x, amount, axis):
    """The maximum of each cell and the one `amount` further along an axis."""
    pads = [(0, 0)] * 4
    pads[axis] = (0, amount)
    shifted = ops.pad(x, pads, constant_values=-float("inf"))
    shifted = shifted[:, amount:] if axis == 1 else shifted[:, :, amount:]
    return ops.maximum(x, shifted)


def _bins(low, high, stride, extent, output_size):
    """First cell of every bin along one axis, and the one after its last: `[B, N, output_size]`."""
    start = _rounded(low / stride)
    length = ops.maximum(_rounded(high / stride) - start + 1, 1)
    number = ops.arange(output_size, dtype="int32")
    start, length, extent = start[..., None], length[..., None], extent[..., None]
    first = start + number * length // output_size
    after = start + ((number + 1) * length + output_size - 1) // output_size
    return tuple(ops.minimum(ops.maximum(edge, 0), extent) for edge in (first, after))


def _rounded(x):
    """Round half away from zero, to int32."""
    return ops.cast(ops.sign(x) * ops.floor(ops.abs(x) + 0.5), "int32")


def _windows(first, after, powers):
    """The two windows that cover `first ... after - 1`.

    Returns:
        `((starts, starts), power)`, int32: their side is two to this power.
    """
    size = after - first
    power, side = ops.zeros_like(size), ops.ones_like(size)
    for i in range(1, powers):
        power = ops.where(size >= 2**i, i, power)
        side = ops.where(size >= 2**i, 2**i, side)
    empty = size < 1
    # What an empty bin takes is dropped later, but it must lie in the table.
    return (ops.where(empty, 0, first), ops.where(empty, 0, after - side)), power
