"""The samples of RoIAlign: which cells of a map a bin is made of, and what each counts."""

from keras import ops

from detection.roi_levels import level_geometry


def bin_taps(features, boxes, levels, strides, grid):
    """The cells that every bin is made of, in a table of all levels and images.

    Args:
        features: list of tensors `[B, H, W, C]`, the maps of the levels.
        boxes: float32 tensor `[B, N, 4]`, pixels of the image, finite.
        levels: int32 tensor `[B, N]`, the map of each box.
        strides: list of floats, pixels of the image in one cell of each map.
        grid: `(output_size, sampling_ratio, aligned, max_samples)`, as in `roi_align`.

    Returns:
        `(rows, row_weights, columns, column_weights)`, int32 and float32 tensors `[B, N,
        output_size, taps]`. Entry `row + column` of the table counts with the product of both
        weights.
    """
    height, width, offset, stride = level_geometry(features, levels, strides)
    rows, row_weights = _taps(boxes[..., 1], boxes[..., 3], stride, height, *grid)
    columns, column_weights = _taps(boxes[..., 0], boxes[..., 2], stride, width, *grid)
    rows = offset[..., None, None] + rows * width[..., None, None]
    return rows, row_weights, columns, column_weights


def _taps(low, high, stride, extent, output_size, sampling_ratio, aligned, max_samples):
    """Cells that contribute to every bin along one axis, and their weights.

    A sample lies between two cells, so a bin has two taps for each of its samples:
    `[B, N, output_size, taps]`, int32 and float32.
    """
    half_pixel = 0.5 if aligned else 0.0
    start = low / stride - half_pixel
    size = high / stride - half_pixel - start
    if not aligned:
        size = ops.maximum(size, 1.0)
    offset, share = _samples(size, output_size, sampling_ratio, max_samples)
    position = start[..., None] + offset
    extent = extent[..., None]
    limit = ops.cast(extent, "float32")
    # False for NaN too, whose conversion to an index is undefined.
    inside = (position >= -1.0) & (position <= limit)
    position = ops.where(inside, position, 0.0)
    position = ops.minimum(ops.maximum(position, 0.0), limit - 1.0)
    first = ops.cast(ops.floor(position), "int32")
    second = ops.minimum(first + 1, extent - 1)
    fraction = position - ops.cast(first, "float32")
    share = ops.cast(inside, "float32") * share
    batch, count = ops.shape(low)[0], ops.shape(low)[1]
    shape = (batch, count, output_size, 2 * (sampling_ratio or max_samples))
    cells = ops.reshape(ops.stack([first, second], axis=-1), shape)
    weights = ops.reshape(ops.stack([(1.0 - fraction) * share, fraction * share], axis=-1), shape)
    return cells, weights


def _samples(size, output_size, sampling_ratio, max_samples):
    """Where along a box of this size the samples are, and their shares of their bins.

    Returns:
        Two float32 tensors that broadcast to `[B, N, output_size * samples]`: cells from the start
        of the box, and share.
    """
    if sampling_ratio:
        grid = output_size * sampling_ratio
        middle = ops.cast(ops.arange(grid, dtype="int32"), "float32") + 0.5
        return middle * (size / grid)[..., None], 1.0 / sampling_ratio
    number = ops.arange(output_size * max_samples, dtype="int32")
    which, sample = number // max_samples, number % max_samples
    which, sample = ops.cast(which, "float32"), ops.cast(sample, "float32")
    bin_size = (size / output_size)[..., None]
    used = ops.minimum(ops.ceil(bin_size), float(max_samples))
    at_least_one = ops.maximum(used, 1.0)
    offset = (which + (sample + 0.5) / at_least_one) * bin_size
    return offset, ops.where(sample < used, 1.0 / at_least_one, 0.0)
