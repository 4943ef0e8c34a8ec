"""The ground truth that detectors are timed on."""

import numpy as np


def ground_truth(height, width, boxes=8, classes=80):
    """Objects of one image as COCO has them: small and large ones.

    Returns:
        `(boxes float32 [N, 4], classes int32 [N])`, pixels.
    """
    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(np.log(0.06), np.log(0.7), (boxes, 2)))
    corners = (1 - sides) * rng.random((boxes, 2))
    scale = np.array([width, height, width, height])
    found = scale * np.concatenate([corners, corners + sides], axis=1)
    return found.astype("float32"), rng.integers(0, classes, boxes).astype("int32")
