"""Data sets on disk, made from the coloured rectangles of `small_model`."""

import json

import numpy as np
from PIL import Image

from tests.detection.small_model import CATEGORIES, rectangles


def write_coco(folder, count, seed=0, first_id=101, categories=CATEGORIES, edit=None):
    """Writes `images/*.png` and `annotations.json`; file `picture_<id>.png` has that id.

    Args:
        folder: `pathlib.Path`, made here.
        count: int, how many images; the first has no boxes.
        seed: int.
        first_id: int, id of the first image.
        categories: sequence of three `{"id", "name"}`.
        edit: callable that changes the annotations before they are written, or None.

    Returns:
        `folder`.
    """
    (folder / "images").mkdir(parents=True)
    x, y = rectangles(count, seed)
    images, annotations = [], []
    for row, pixels in enumerate(x["images"]):
        image_id = first_id + row
        name = f"picture_{image_id}.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        height, width = pixels.shape[:2]
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for box, index in zip(y["boxes"][row].tolist(), y["classes"][row].tolist()):
            if index >= 0:
                sides = [box[2] - box[0], box[3] - box[1]]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": categories[index]["id"],
                        "bbox": [*box[:2], *sides],
                        "area": float(np.prod(sides)),
                        "iscrowd": 0,
                    }
                )
    content = {"images": images, "annotations": annotations, "categories": list(categories)}
    if edit is not None:
        edit(content)
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def coco_settings(train, val):
    """`data` section of a configuration for two folders of `write_coco`."""
    return {
        "format": "coco",
        "train": {"images": str(train / "images"), "annotations": str(train / "annotations.json")},
        "val": {"images": str(val / "images"), "annotations": str(val / "annotations.json")},
    }


def tiny_settings(train, val, project):
    """A whole configuration, as plain data, of a run of 99 steps in 25 epochs."""
    return {
        "extends": "quickstart",
        "model": {
            "backbone": {"stage_blocks": [1, 1, 1], "width": 16, "freeze": "stem"},
            "fpn_filters": 16,
            "rpn": {"pre_nms": [100, 50], "post_nms": [50, 25], "samples": 64},
            "roi_heads": {"hidden": [32], "samples": 32, "max_detections": 50},
        },
        "data": {
            **coco_settings(train, val),
            "root": None,
            "pipeline": {"batch_size": 4, "min_sides": [96], "max_side": 128},
        },
        "train": {
            "steps": 99,
            "learning_rate": 0.005,
            "reference_batch": 4,
            "warmup_length": 4,
            "evaluate_every": 5,
        },
        "run": {"project": str(project), "name": "tiny", "pictures": 5},
    }
