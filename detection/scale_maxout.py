"""Multi-scale testing: the features of a region from the two scales that suit its size."""

from keras import ops

from detection.boxes import area


def nearest_scales(boxes, canonical_size=224.0):
    """Which two scales show a region most nearly at the size it is recognised at.

    These are the scales where its area is nearest to `canonical_size` squared. They are adjacent
    in an image pyramid, because the area only grows with the scale.

    Args:
        boxes: list of float tensors `[B, N, 4]`, the same regions in the pixels of each scale.
        canonical_size: pixels, side of the square whose area is aimed at.

    Returns:
        int32 tensor `[B, N, 2]`, indices into `boxes`, nearest first, ties by lower index;
        `[B, N, 1]` if there is but one scale.

    Reference:
        He et al. 2014 (SPP-net, arXiv:1406.4729), section 4.1; Ren et al. 2015, "Object
        Detection Networks on Convolutional Feature Maps" (two adjacent scales).

    Example:

    >>> box = np.array([[[0.0, 0, 112, 112]]])
    >>> np.asarray(nearest_scales([box, 2 * box, 3 * box])).tolist()
    [[[1, 0]]]
    """
    areas = ops.stack([area(scaled) for scaled in boxes], axis=-1)
    distance = ops.abs(areas - float(canonical_size) ** 2)
    order = ops.argsort(distance, axis=-1)  # stable
    return ops.cast(order[..., : min(2, len(boxes))], "int32")


def maxout_over_scales(pool, head, maps, boxes, canonical_size=224.0):
    """The elementwise maximum of a region's features at its two nearest scales.

    Pooling and the layers after it run on both scales; the maximum is taken right before the
    output layers.

    Args:
        pool: function of feature maps and boxes `[B, N, 4]` to pooled regions `[B, N, S, S, C]`.
        head: function of pooled regions `[B, N, S, S, C]` to vectors `[B, N, D]`.
        maps: list with the feature maps of each scale, in the form that `pool` takes.
        boxes: list of float32 tensors `[B, N, 4]`, the regions in the pixels of each scale.
        canonical_size: see `nearest_scales`.

    Returns:
        Tensor `[B, N, D]`.

    Reference:
        He et al. 2015, appendix B, "Multi-scale testing".

    Example:

    ```python
    vectors = maxout_over_scales(heads.pooler, head, [levels, levels_2x], [boxes, 2 * boxes])
    ```
    """
    scales = nearest_scales(boxes, canonical_size)
    slots = [None] * scales.shape[-1]
    for scale, (levels, regions) in enumerate(zip(maps, boxes)):
        pooled = pool(levels, regions)
        for slot, so_far in enumerate(slots):
            here = (scales[..., slot] == scale)[..., None, None, None]
            slots[slot] = pooled if so_far is None else ops.where(here, pooled, so_far)
    vectors = head(slots[0])
    for pooled in slots[1:]:
        vectors = ops.maximum(vectors, head(pooled))
    return vectors
