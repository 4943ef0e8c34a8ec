"""RoIAlign: features of a fixed size for boxes of any size."""

from keras import ops

from detection import _tensorflow
from detection.boxes import area


def roi_align(features, boxes, spatial_scale, output_size=7, sampling_ratio=2, aligned=True):
    """Pool one feature map inside boxes by bilinear interpolation.

    Every box is divided into `output_size x output_size` bins and every bin is the mean of
    `sampling_ratio x sampling_ratio` evenly spaced samples. Samples more than one cell outside the
    map are zero. Gradients flow to the features, not to the boxes.

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
    boxes = ops.stop_gradient(boxes)
    align = _tensorflow.multilevel_roi_align if _tensorflow.kernels_available() else _gather_align
    return align(features, boxes, levels, strides, output_size, sampling_ratio, aligned)


def _gather_align(features, boxes, levels, strides, output_size, sampling_ratio, aligned):
    """RoIAlign as a weighted sum of rows gathered from one table of all levels and images.

    The terms are added one by one, so that no more than one of them is in memory.
    """
    dtype = features[0].dtype
    channels = features[0].shape[-1]
    table = ops.concatenate([ops.reshape(feature, (-1, channels)) for feature in features], axis=0)
    height, width, offset, stride = _level_geometry(features, levels, strides)
    (y_low, y_high, y_low_weight, y_high_weight) = _samples(
        boxes[..., 1], boxes[..., 3], stride, height, output_size, sampling_ratio, aligned
    )
    (x_low, x_high, x_low_weight, x_high_weight) = _samples(
        boxes[..., 0], boxes[..., 2], stride, width, output_size, sampling_ratio, aligned
    )
    width, offset = width[..., None], offset[..., None]
    rows = [(offset + y_low * width, y_low_weight), (offset + y_high * width, y_high_weight)]
    columns = [(x_low, x_low_weight), (x_high, x_high_weight)]
    total = None
    for row, row_weight in rows:
        for column, column_weight in columns:
            for i in range(sampling_ratio):
                for j in range(sampling_ratio):
                    row_part = slice(i, None, sampling_ratio)
                    column_part = slice(j, None, sampling_ratio)
                    index = row[..., row_part, None] + column[..., None, column_part]
                    weight = row_weight[..., row_part, None] * column_weight[..., None, column_part]
                    values = ops.cast(ops.take(table, index, axis=0), "float32")
                    term = values * weight[..., None]
                    total = term if total is None else total + term
    return ops.cast(total / sampling_ratio**2, dtype)


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


def _samples(low, high, stride, extent, output_size, sampling_ratio, aligned):
    """Neighbouring cells of the samples along one axis and their weights, `[B, N, samples]`."""
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
    low_cell = ops.cast(ops.floor(position), "int32")
    high_cell = ops.minimum(low_cell + 1, extent - 1)
    fraction = position - ops.cast(low_cell, "float32")
    inside = ops.cast(inside, "float32")
    return low_cell, high_cell, (1.0 - fraction) * inside, fraction * inside
