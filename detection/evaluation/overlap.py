"""Overlaps between rows in COCO's format."""

import numpy as np


def overlaps(found, truth):
    """IoU of detections and annotations; for a crowd the share of the detection inside it.

    Args:
        found: list of D dicts with `bbox`, `[x, y, width, height]` in pixels.
        truth: list of N such dicts, which may have `iscrowd`.

    Returns:
        float64 array `[D, N]`.
    """
    a = np.array([row["bbox"] for row in found], "float64").reshape(-1, 1, 4)
    b = np.array([row["bbox"] for row in truth], "float64").reshape(1, -1, 4)
    crowd = np.array([bool(row.get("iscrowd")) for row in truth], bool)
    far = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    near = np.maximum(a[..., :2], b[..., :2])
    intersection = np.prod(np.maximum(far - near, 0.0), axis=-1)
    area_a, area_b = a[..., 2] * a[..., 3], b[..., 2] * b[..., 3]
    whole = np.where(crowd, area_a, area_a + area_b - intersection)
    return np.where(whole > 0, intersection / np.where(whole > 0, whole, 1.0), 0.0)
