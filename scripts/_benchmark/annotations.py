"""Reading annotations of the size of COCO's training set."""

import contextlib
import io
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from _benchmark.harness import Seconds, elsewhere


def read(library, images=118_287, boxes=860_001, quick=False):
    """Reads and indexes a COCO file, by our reader or by pycocotools.

    Ours also finds out whether every image exists, which pycocotools does not.
    """
    import keras  # noqa: F401  on both sides, so that memory can be compared

    images, boxes = (300, 2000) if quick else (images, boxes)
    folder = tempfile.TemporaryDirectory()
    files = library == "ours"
    elsewhere("annotations:write", folder=folder.name, images=images, boxes=boxes, files=files)
    annotations = os.path.join(folder.name, "annotations.json")
    if library == "ours":
        from detection.data import load_coco

        def load():
            found = load_coco(folder.name, annotations)
            assert len(found) == images
            return found

    else:
        from pycocotools.coco import COCO

        def load():
            with contextlib.redirect_stdout(io.StringIO()):
                found = COCO(annotations)
            assert len(found.anns) == boxes
            return found

    def step(keep=folder):
        start = time.perf_counter()
        found = load()
        elapsed = time.perf_counter() - start
        del found  # which takes time too, but not a reader's
        return Seconds(elapsed)

    return step, {"images": images}


def write(folder, images, boxes, files):
    """Writes synthetic annotations and, if asked, the (empty) files they name."""
    rng = np.random.default_rng(0)
    ids = np.sort(rng.choice(6 * images, images, replace=False)).tolist()
    sizes = rng.integers(320, 641, (images, 2)).tolist()
    entries = [
        {
            "license": 3,
            "file_name": f"{image:012d}.jpg",
            "coco_url": f"http://images.cocodataset.org/train2017/{image:012d}.jpg",
            "height": height,
            "width": width,
            "date_captured": "2013-11-14 11:18:45",
            "id": image,
        }
        for image, (height, width) in zip(ids, sizes)
    ]
    corners = np.round(200 * rng.random((boxes, 2)), 2).tolist()
    sides = np.round(1 + 100 * rng.random((boxes, 2)), 2).tolist()
    owners, classes = rng.integers(0, images, boxes).tolist(), rng.integers(1, 81, boxes).tolist()
    annotations = [
        {
            "area": round(0.6 * w * h, 2),
            "iscrowd": 0,
            "image_id": ids[owner],
            "bbox": [x, y, w, h],
            "category_id": category,
            "id": number,
        }
        for number, (owner, (x, y), (w, h), category) in enumerate(
            zip(owners, corners, sides, classes), start=1
        )
    ]
    categories = [{"id": i, "name": f"class {i}"} for i in range(1, 81)]
    content = {"images": entries, "annotations": annotations, "categories": categories}
    folder = Path(folder)
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    for entry in entries if files else ():
        (folder / entry["file_name"]).touch()
