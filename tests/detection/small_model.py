"""A detector small enough to train in tests, and batches of coloured rectangles for it."""

import numpy as np

import detection
from detection.config import ModelConfig

CATEGORIES = [{"id": 3, "name": "red"}, {"id": 7, "name": "green"}, {"id": 9, "name": "blue"}]
COLOURS = np.array([(255, 40, 40), (40, 255, 40), (40, 40, 255)], "uint8")


def model_config(**overrides):
    """A narrow three-stage net; `overrides` by section, e.g. `rpn={"samples": 64}`."""
    sections = {
        "backbone": {
            "stage_blocks": [1, 1, 1],
            "width": 16,
            "stem": {"kernel_size": 3, "stride": 2, "pool": True},
            "zero_init_residual": False,
            "levels": ["C2", "C3", "C4"],
        },
        "rpn": {
            "anchor_sizes": [[16], [32], [64], [96]],
            "pre_nms": [200, 100],
            "post_nms": [100, 50],
            "samples": 64,
        },
        "roi_heads": {"hidden": [64, 64], "samples": 32, "canonical_size": 64},
    }
    sections = {name: {**values, **overrides.get(name, {})} for name, values in sections.items()}
    return ModelConfig(fpn_filters=32, **sections)


def small_model(**overrides):
    return detection.build_model(
        model_config(**overrides),
        CATEGORIES,
        preprocessing={"min_side": 64, "max_side": 128, "size_divisor": 32},
    )


def rectangles(count, seed=0, size=96, max_boxes=4):
    """A batch of images with 0 to 3 rectangles; class = colour. The first image is empty."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 160, (count, size, size, 3)).astype("uint8")
    boxes = np.zeros((count, max_boxes, 4), "float32")
    classes = np.full((count, max_boxes), -1, "int32")
    for i in range(1, count):
        for j in range(rng.integers(1, 4)):
            width, height = rng.integers(20, 40, 2)
            x, y = rng.integers(0, size - width), rng.integers(0, size - height)
            box = np.array([x, y, x + width, y + height], "float32")
            overlap = np.minimum(boxes[i, :, 2:], box[2:]) - np.maximum(boxes[i, :, :2], box[:2])
            if (overlap > 0).all(axis=1).any():
                continue
            k = rng.integers(3)
            images[i, y : y + height, x : x + width] = COLOURS[k]
            boxes[i, j], classes[i, j] = box, k
    x = {"images": images, "image_sizes": np.full((count, 2), size, "int32")}
    y = {"boxes": boxes, "classes": classes, "is_crowd": np.zeros((count, max_boxes), bool)}
    return x, y
