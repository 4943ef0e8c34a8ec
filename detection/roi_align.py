"""RoIAlign: features of a fixed size for boxes of any size."""

from keras import ops

from detection import _tensorflow
from detection.roi_levels import assign_levels
from detection.roi_taps import bin_taps

_FAR_OUTSIDE = -1e6  # pixels
# Beyond this many numbers a region, the terms of a gradient are not made all at once.
_LARGEST_UPDATE = 2**20


def roi_align(
    features,
    boxes,
    spatial_scale,
    output_size=7,
    sampling_ratio=2,
    aligned=True,
    max_samples=4,
):
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
        sampling_ratio: int, samples along each side of a bin; 0 for as many as the bin has cells,
            rounded up, which costs `(max_samples / 2)**2` times as much as 2 samples.
        aligned: bool; True places the centre of the first pixel at 0 (half a pixel less than
            without), False is the older form, in which boxes are also at least one cell large.
        max_samples: int, most samples along each side of a bin with `sampling_ratio=0`.

    Returns:
        Tensor `[B, N, output_size, output_size, C]` of the features' dtype.

    Raises:
        ValueError: if `output_size`, `sampling_ratio` or `max_samples` is no such int.

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
        [features],
        boxes,
        levels,
        [1.0 / spatial_scale],
        output_size,
        sampling_ratio,
        aligned,
        max_samples,
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
    max_samples=4,
):
    """RoIAlign on the level of a pyramid that fits each box's size.

    A box goes to level `floor(canonical_level + log2(sqrt(area) / canonical_size + epsilon))`,
    clamped to the levels given.

    Args:
        features: list of float tensors `[B, H, W, C]`, finest first: levels `min_level`,
            `min_level + 1`, ...
        boxes: float tensor `[B, N, 4]`, pixels of the image.
        strides: list of numbers, pixels of the image in one cell of each level.
        output_size, sampling_ratio, aligned, max_samples: as in `roi_align`.
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
    levels = assign_levels(
        boxes, len(features), canonical_size, canonical_level, min_level, epsilon
    )
    return _align(
        features, boxes, levels, strides, output_size, sampling_ratio, aligned, max_samples
    )


def _align(features, boxes, levels, strides, output_size, sampling_ratio, aligned, max_samples):
    _check("output_size", output_size, 1)
    _check("sampling_ratio", sampling_ratio, 0)
    _check("max_samples", max_samples, 1)
    features = [ops.convert_to_tensor(feature) for feature in features]
    strides = [float(stride) for stride in strides]
    # Some positions in such boxes are finite; out here none is inside a map.
    finite = ops.all(ops.isfinite(boxes), axis=-1, keepdims=True)
    boxes = ops.stop_gradient(ops.where(finite, boxes, _FAR_OUTSIDE))
    taps = bin_taps(
        features, boxes, levels, strides, (output_size, sampling_ratio, aligned, max_samples)
    )
    sparse = _tensorflow.sparse_kernels_available()
    pooled, spread = (_product, _transposed) if sparse else (_weighted_sum, _scattered)

    @ops.custom_gradient
    def pool(*features):
        return pooled(features, taps), lambda upstream: _gradients(upstream, features, taps, spread)

    return pool(*features)


def _check(name, value, least):
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        kind = "a positive int" if least else "an int, 0 or positive"
        raise ValueError(f"`{name}` must be {kind}. Received: {name}={value}")


def _weighted_sum(features, taps):
    """Pool by adding up the terms of all bins, one after the other."""
    rows, row_weights, columns, column_weights = taps
    table, count = _table(features), rows.shape[-1]
    total = 0.0
    for i in range(count):
        for j in range(count):
            index = rows[..., :, None, i] + columns[..., None, :, j]
            weight = row_weights[..., :, None, i] * column_weights[..., None, :, j]
            total = total + ops.take(table, index, axis=0) * weight[..., None]
    return ops.cast(total, features[0].dtype)


def _product(features, taps):
    """Pool by one product with the sparse matrix of all terms."""
    index, weight = _terms(taps)
    pooled = _tensorflow.weighted_rows(_table(features), _by_bin(index), _by_bin(weight))
    pooled = ops.reshape(pooled, (*ops.shape(index)[:-2], features[0].shape[-1]))
    return ops.cast(pooled, features[0].dtype)


def _table(features):
    """The cells of all levels and images as float32 rows."""
    channels = features[0].shape[-1]
    rows = [ops.reshape(feature, (-1, channels)) for feature in features]
    # Of 16-bit features too, samples are float32: only the result is rounded.
    return ops.cast(ops.concatenate(rows, axis=0) if len(rows) > 1 else rows[0], "float32")


def _terms(taps, part=slice(None)):
    """Entries of the table and their weights, `[B, N, output_size, output_size, taps, taps]`.

    Args:
        taps: what `bin_taps` returns.
        part: slice of the taps along the first axis, to make the terms of these only.
    """
    rows, row_weights, columns, column_weights = taps
    index = rows[..., :, None, part, None] + columns[..., None, :, None, :]
    weight = row_weights[..., :, None, part, None] * column_weights[..., None, :, None, :]
    return index, weight


def _by_bin(terms):
    """Terms as `[B * N * output_size**2, taps**2]`."""
    return ops.reshape(terms, (-1, terms.shape[-2] * terms.shape[-1]))


def _gradients(upstream, features, taps, spread):
    """Gradients of all feature maps.

    Left to differentiate the sum itself, a backend would make one gradient of the whole table for
    every term; here all terms are added into one.

    Args:
        upstream: float tensor `[B, N, output_size, output_size, C]`.
        features: list of tensors `[B, H, W, C]`.
        taps: what `bin_taps` returns.
        spread: function of `(upstream, taps, cells)` to the gradient of the table, `[cells, C]`.
    """
    sizes = [ops.shape(f)[0] * ops.shape(f)[1] * ops.shape(f)[2] for f in features]
    # float32, because in 16 bits the gradients of overlapping boxes would not add up.
    table = spread(ops.cast(upstream, "float32"), taps, sum(sizes))
    gradients, first = [], 0
    for feature, size in zip(features, sizes):
        part = ops.reshape(table[first : first + size], ops.shape(feature))
        gradients.append(ops.cast(part, feature.dtype))
        first = first + size
    return tuple(gradients)


def _transposed(upstream, taps, cells):
    """The gradient of the table by a product with the transposed sparse matrix of all terms."""
    index, weight = _terms(taps)
    values = ops.reshape(upstream, (-1, upstream.shape[-1]))
    return _tensorflow.spread_rows(values, _by_bin(index), _by_bin(weight), cells)


def _scattered(upstream, taps, cells):
    """The gradient of the table by scattering all terms, or, where that takes too much memory,
    those of one row of samples after the other."""
    channels, count, bins = upstream.shape[-1], taps[0].shape[-1], taps[0].shape[-2] ** 2
    upstream = upstream[..., None, None, :]

    def scattered(part):
        index, weight = _terms(taps, part)
        update = ops.reshape(upstream * weight[..., None], (-1, channels))
        return ops.segment_sum(update, ops.reshape(index, (-1,)), cells)

    if bins * count**2 * channels <= _LARGEST_UPDATE:
        return scattered(slice(None))
    return sum(scattered(slice(i, i + 1)) for i in range(count))
