"""Which detections of an image are right."""

import numpy as np

from detection.evaluation.overlap import overlaps


def match_image(found, truth, iou_threshold=0.5):
    """Which detections of an image are right, each object being found once.

    Args:
        found: list of COCO results, best first.
        truth: list of COCO annotations of the image. Crowds and difficult ones need not be found.
        iou_threshold: float.

    Returns:
        List with True, False or, for a detection on a crowd or difficult object, None.
    """
    overlap = overlaps(found, truth)
    ignored = np.array([bool(r.get("iscrowd") or r.get("difficult")) for r in truth], bool)
    free = ~ignored
    verdicts = []
    for row, shares in zip(found, overlap):
        same = np.array([row["category_id"] == r["category_id"] for r in truth], bool)
        candidates = np.where(free & same, shares, -1.0)
        if candidates.max(initial=-1.0) >= iou_threshold:
            free[int(candidates.argmax())] = False
            verdicts.append(True)
        elif (shares[ignored & same] >= iou_threshold).any():
            verdicts.append(None)
        else:
            verdicts.append(False)
    return verdicts
