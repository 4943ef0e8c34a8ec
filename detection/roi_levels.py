"""Which level of a pyramid a box is pooled from, and where that level's cells are."""

from keras import ops

from detection.boxes import area


def assign_levels(boxes, num_levels, canonical_size, canonical_level, min_level, epsilon):
    """Level of every box: `floor(canonical_level + log2(sqrt(area) / canonical_size + epsilon))`.

    Args:
        boxes: float32 tensor `[B, N, 4]`, pixels.
        num_levels: int, how many levels there are.
        canonical_size: float, side in pixels of a square box that goes to `canonical_level`.
        canonical_level: int.
        min_level: int, number of the first level.
        epsilon: float.

    Returns:
        int32 tensor `[B, N]`, index into the levels: 0 for `min_level`.

    Reference:
        Lin et al. 2017 (FPN), equation 1.

    Example:

    >>> boxes = np.array([[[0.0, 0, 224, 224], [0, 0, 20, 20]]])
    >>> np.asarray(assign_levels(boxes, 4, 224, 4, 2, 1e-8)).tolist()
    [[2, 0]]
    """
    # Comparing with powers of two is the floor of the logarithm without its rounding, which
    # differs between backends just where boxes have a power of two as side.
    size = ops.sqrt(area(boxes)) / canonical_size + epsilon
    levels = ops.zeros_like(size, dtype="int32")
    for level in range(min_level + 1, min_level + num_levels):
        levels = levels + ops.cast(size >= 2.0 ** (level - canonical_level), "int32")
    return levels


def level_geometry(features, levels, strides):
    """Where the cells that a box is pooled from lie in a table of all levels and images.

    The table holds the cells of the first level, image by image and row by row, then those of the
    second, and so on.

    Args:
        features: list of tensors `[B, H, W, C]`.
        levels: int32 tensor `[B, N]`, index into `features`.
        strides: list of floats, pixels of the image in one cell.

    Returns:
        `(height, width, offset, stride)` of the level of every box, `[B, N]` each: int32 cells,
        int32 position of the image's first cell in the table, float32 pixels.
    """
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
