"""Boxes between views of an image: other sizes, mirrored or not."""

from keras import ops


def mirror_boxes(boxes, image_sizes):
    """Boxes of an image mirrored from left to right.

    Args:
        boxes: float tensor `[B, ..., 4]`, pixels.
        image_sizes: int tensor `[B, 2]`, true (height, width).

    Returns:
        float32 tensor of the same shape.

    Example:

    >>> np.asarray(mirror_boxes(np.array([[[1.0, 2, 5, 6]]]), np.array([[8, 20]]))).tolist()
    [[[15.0, 2.0, 19.0, 6.0]]]
    """
    boxes = ops.cast(boxes, "float32")
    width = _like(ops.cast(image_sizes, "float32")[:, 1:], boxes)
    x1, y1, x2, y2 = (boxes[..., i : i + 1] for i in range(4))
    return ops.concatenate([width - x2, y1, width - x1, y2], axis=-1)


def rescale_boxes(boxes, sizes, new_sizes):
    """Boxes of an image resized.

    Args:
        boxes: float tensor `[B, ..., 4]`, pixels.
        sizes: int tensor `[B, 2]`, (height, width) of the images that the boxes are in.
        new_sizes: int tensor `[B, 2]`, that of the same images resized.

    Returns:
        float32 tensor of the same shape.

    Example:

    >>> sizes = np.array([[8, 20]]), np.array([[16, 10]])
    >>> np.asarray(rescale_boxes(np.array([[[2.0, 2, 6, 6]]]), *sizes)).tolist()
    [[[1.0, 4.0, 3.0, 12.0]]]
    """
    boxes = ops.cast(boxes, "float32")
    factor = ops.cast(new_sizes, "float32") / ops.cast(sizes, "float32")
    y, x = factor[:, :1], factor[:, 1:]
    return boxes * _like(ops.concatenate([x, y, x, y], axis=-1), boxes)


def _like(values, boxes):
    """`values` [B, n] with the axes between the first and the last that `boxes` has."""
    return ops.reshape(values, (-1, *[1] * (len(boxes.shape) - 2), values.shape[-1]))
