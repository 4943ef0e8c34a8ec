"""Tiny data sets written into a folder of the test."""

import json
import os

import numpy as np
from PIL import Image


def write_image(path, size, seed=0):
    """Writes smooth random colours: neighbouring pixels are similar, as in photographs."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), "uint8")
    Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC).save(path)


def write_coco(folder, sizes, boxes_of=lambda index: [], categories=None):
    """Writes images `000001.jpg`, ... and `annotations.json`; boxes are (category, bbox)."""
    os.makedirs(folder / "images", exist_ok=True)
    content = {
        "images": [],
        "annotations": [],
        "categories": categories or [{"id": 7, "name": "b"}, {"id": 3, "name": "a"}],
    }
    for index, size in enumerate(sizes):
        name = f"{index + 1:06d}.jpg"
        write_image(folder / "images" / name, size, seed=index)
        image = {"id": index + 1, "file_name": name, "height": size[0], "width": size[1]}
        content["images"].append(image)
        for category, bbox in boxes_of(index):
            annotation = {"id": len(content["annotations"]) + 1, "image_id": index + 1}
            annotation.update(category_id=category, bbox=bbox, iscrowd=0)
            content["annotations"].append(annotation)
    return write_json(folder, content)


def write_json(folder, content):
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return folder / "images", path


def some_boxes(count, size, seed):
    """`count` random boxes of both categories inside an image, as (category, bbox)."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(count):
        x, y = rng.uniform(0, 0.6, 2) * size[::-1]
        width, height = rng.uniform(0.1, 0.4, 2) * size[::-1]
        box = [round(float(v), 2) for v in (x, y, width, height)]
        boxes.append((int(rng.choice([3, 7])), box))
    return boxes


def write_voc(folder, xml_of, names=None, split="train", size=(40, 60)):
    """Writes a data set in VOC's layout; `xml_of` maps image names to the XML inside the root."""
    for sub in ("Annotations", "JPEGImages", "ImageSets/Main"):
        os.makedirs(folder / sub, exist_ok=True)
    for name, xml in xml_of.items():
        text = f"<annotation><size><width>{size[1]}</width><height>{size[0]}</height></size>{xml}"
        (folder / "Annotations" / f"{name}.xml").write_text(text + "</annotation>")
        write_image(folder / "JPEGImages" / f"{name}.jpg", size)
    lines = "\n".join(names or xml_of) + "\n"
    (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(lines)
    return folder


def voc_object(name, corners, difficult=0):
    keys = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners))
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult>"
        f"<bndbox>{box}</bndbox></object>"
    )
