"""Areas, overlaps and clipping of boxes `(x1, y1, x2, y2)` in absolute pixels."""

import numpy as np
from keras import ops

_SMALLEST_AREA = 1e-20  # square pixels


def area(boxes):
    """Area of boxes; a box with a negative side has area zero.

    Args:
        boxes: float tensor `[..., 4]`, `(x1, y1, x2, y2)` in pixels.

    Returns:
        float32 tensor `[...]`, square pixels.

    Example:
        >>> area(np.array([[0.0, 0.0, 4.0, 2.0]]))  # [8.0]
    """
    return _area(sides(boxes))


def iou_matrix(a, b):
    """Intersection over union of every box of `a` with every box of `b`.

    Pairs whose union is empty (degenerate or padded boxes) have overlap 0, never NaN.

    Args:
        a: float tensor `[..., N, 4]`, pixels.
        b: float tensor `[..., M, 4]`, pixels; leading dimensions broadcast against those of `a`.

    Returns:
        float32 tensor `[..., N, M]` in `[0, 1]`.

    Example:
        >>> iou_matrix(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]]))  # [[1 / 3]]
    """
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    return iou_of_sides(sides(a[..., :, None, :]), sides(b[..., None, :, :]))


def sides(boxes):
    """The four coordinates of boxes as separate float32 tensors.

    Compiled loops over boxes are several times faster on them than on `[..., 4]`.

    Args:
        boxes: float tensor `[..., 4]`.

    Returns:
        `(x1, y1, x2, y2)`, float32 tensors `[...]`.
    """
    boxes = ops.cast(boxes, "float32")
    return tuple(boxes[..., i] for i in range(4))


def iou_of_sides(a, b):
    """Intersection over union of boxes given by their `sides`.

    Args:
        a, b: tuples of four float32 tensors, which broadcast against each other.

    Returns:
        float32 tensor of the broadcast shape; 0 where the union is empty.

    Example:
        >>> iou_of_sides((0.0, 0.0, 2.0, 2.0), (1.0, 0.0, 3.0, 2.0))  # 1 / 3
    """
    shared = intersection_of_sides(a, b)
    return _ratio(shared, _area(a) + _area(b) - shared)


def intersection_of_sides(a, b):
    """Area shared by boxes given by their `sides`.

    Args:
        a, b: tuples of four float32 tensors, which broadcast against each other.

    Returns:
        float32 tensor of the broadcast shape, square pixels.
    """
    width = ops.minimum(a[2], b[2]) - ops.maximum(a[0], b[0])
    height = ops.minimum(a[3], b[3]) - ops.maximum(a[1], b[1])
    return ops.maximum(width, 0.0) * ops.maximum(height, 0.0)


def intersection_over_area(a, b):
    """Share of every box of `a` that lies inside every box of `b`.

    This is the overlap that counts against crowd regions, where the union says nothing.

    Args:
        a: float tensor `[..., N, 4]`, pixels.
        b: float tensor `[..., M, 4]`, pixels.

    Returns:
        float32 tensor `[..., N, M]` in `[0, 1]`; 0 where the box of `a` has no area.

    Example:
        >>> intersection_over_area(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 9, 9]]))
        # [[0.5]]
    """
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    a = sides(a[..., :, None, :])
    return _ratio(intersection_of_sides(a, sides(b[..., None, :, :])), _area(a))


def clip_boxes(boxes, image_sizes):
    """Clip boxes to their image's true extent (not to the padded one).

    Args:
        boxes: float tensor `[B, N, 4]`, pixels.
        image_sizes: int tensor `[B, 2]`, `(height, width)` in pixels.

    Returns:
        float32 tensor `[B, N, 4]`.

    Example:
        >>> clip_boxes(np.array([[[-3.0, 1, 50, 9]]]), np.array([[8, 32]]))
        # [[[0, 1, 32, 8]]]
    """
    boxes = ops.cast(boxes, "float32")
    height_width = ops.cast(image_sizes, "float32")[:, None, :]
    height, width = height_width[..., 0:1], height_width[..., 1:2]
    limit = ops.concatenate([width, height, width, height], axis=-1)
    return ops.minimum(ops.maximum(boxes, 0.0), limit)


def xywh_to_xyxy(boxes):
    """Convert NumPy boxes from `(x, y, width, height)` (COCO files) to corners.

    Args:
        boxes: array-like `[..., 4]`; an empty list becomes shape `[0, 4]`.

    Returns:
        NumPy float array `[..., 4]`, `(x1, y1, x2, y2)`.

    Example:
        >>> xywh_to_xyxy([[1, 2, 3, 4]])  # [[1, 2, 4, 6]]
    """
    boxes = _as_boxes(boxes)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def xyxy_to_xywh(boxes):
    """Convert NumPy boxes from corners to `(x, y, width, height)` (COCO files).

    Args:
        boxes: array-like `[..., 4]`; an empty list becomes shape `[0, 4]`.

    Returns:
        NumPy float array `[..., 4]`.

    Example:
        >>> xyxy_to_xywh([[1, 2, 4, 6]])  # [[1, 2, 3, 4]]
    """
    boxes = _as_boxes(boxes)
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def _as_boxes(boxes):
    boxes = np.asarray(boxes)
    if boxes.size == 0 and boxes.ndim < 2:
        boxes = boxes.reshape(0, 4)
    if boxes.shape[-1] != 4:
        raise ValueError(
            f"`boxes` must have four coordinates in the last axis. Received: shape={boxes.shape}"
        )
    return boxes if np.issubdtype(boxes.dtype, np.floating) else boxes.astype("float64")


def _area(a):
    return ops.maximum(a[2] - a[0], 0.0) * ops.maximum(a[3] - a[1], 0.0)


def _ratio(part, whole):
    # Where the whole is empty the part is too, whatever it is divided by.
    return part / ops.maximum(whole, _SMALLEST_AREA)
