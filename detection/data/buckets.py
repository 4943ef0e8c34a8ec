"""The few padded shapes that all images of a data set are padded to."""

import numpy as np


def choose_buckets(sizes, divisor, max_buckets):
    """Chooses padded shapes for images of the given sizes.

    Starts with the size of each image rounded up, and merges the pair of shapes that costs the
    least additional padding until few enough are left. Deterministic.

    Args:
        sizes: Integer array `(N, 2)`, heights and widths of the resized images.
        divisor: Integer; heights and widths of the shapes are multiples of it.
        max_buckets: Integer, how many shapes to allow.

    Returns:
        int32 array `(K, 2)` of heights and widths, by increasing area.
    """
    shapes, counts = np.unique(-(-np.asarray(sizes) // divisor), axis=0, return_counts=True)
    shapes, counts = shapes.astype("int64"), counts.astype("int64")
    while len(shapes) > max_buckets:
        area = shapes.prod(axis=1)
        union = np.maximum(shapes[:, None], shapes[None])
        merged = union.prod(axis=-1) * (counts[:, None] + counts[None])
        cost = merged - (area * counts)[:, None] - (area * counts)[None]
        cost[np.tril_indices(len(shapes))] = np.iinfo("int64").max
        first, second = np.unravel_index(np.argmin(cost), cost.shape)
        shapes[first] = union[first, second]
        counts[first] += counts[second]
        keep = np.arange(len(shapes)) != second
        shapes, counts = shapes[keep], counts[keep]
    # Merging can make two shapes equal.
    shapes = np.unique(shapes, axis=0)
    order = np.lexsort((shapes[:, 1], shapes[:, 0], shapes.prod(axis=1)))
    return (shapes[order] * divisor).astype("int32")


def smallest_cover(sizes, shapes):
    """For each size the first (smallest) shape that holds it, or -1.

    Args:
        sizes: Integer array `(N, 2)`.
        shapes: Integer array `(K, 2)` by increasing area.

    Returns:
        int array `(N,)` of positions in `shapes`.
    """
    covers = (np.asarray(sizes)[:, None] <= np.asarray(shapes)[None]).all(axis=-1)
    return np.where(covers.any(axis=1), covers.argmax(axis=1), -1)
