"""The built-in sample set: geometric shapes on textured backgrounds, as COCO JSON and JPEG."""

import json
import os
import shutil
import tempfile

import numpy as np
from PIL import Image

from detection.data.coco import load_coco
from detection.data.problems import DataError
from detection.data.shape_drawing import SHAPE_CLASSES, draw_scene
from keras_resnet.data.missing_paths import tried

_VERSION = 1  # Counted up whenever the same parameters draw other images.
_PARAMETERS_FILE = "parameters.json"


def make_shapes(folder, num_train=400, num_val=100, image_size=128, seed=0):
    """Draws the sample set into a folder, or finds it there.

    The images show 1 to 6 objects of five classes with rotation, a wide range of sizes and
    colours, partly covered by each other, on textured backgrounds with clutter; a few show none.
    The result is an ordinary data set in COCO's format: `train/`, `val/` and
    `annotations/instances_train.json`, `annotations/instances_val.json`.

    Args:
        folder: String or path. Written aside and renamed, so that it is complete or absent. A
            folder with a sample set of the same parameters is used as it is.
        num_train: Integer, number of training images.
        num_val: Integer, number of validation images.
        image_size: Integer, height and width of the images in pixels.
        seed: Integer; the same seed draws the same images.

    Returns:
        The folder as a string.

    Raises:
        DataError: If the folder holds something else, which is never overwritten.
        ValueError: If a number is out of range.

    Example:

    ```python
    folder = make_shapes("shapes", num_train=40, num_val=10)
    dataset = load_coco(f"{folder}/train", f"{folder}/annotations/instances_train.json")
    ```
    """
    folder = os.fspath(folder)
    parameters = {
        "version": _VERSION,
        "num_train": int(num_train),
        "num_val": int(num_val),
        "image_size": int(image_size),
        "seed": int(seed),
    }
    if min(num_train, num_val) < 1 or image_size < 64 or seed < 0:
        raise ValueError(
            "`num_train` and `num_val` must be at least 1, `image_size` at least 64 and `seed` "
            f"not negative. Received: {parameters}"
        )
    if _is_present(folder, parameters):
        return folder
    parent = os.path.dirname(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    aside = tempfile.mkdtemp(prefix=f".{os.path.basename(folder)}-", dir=parent)
    try:
        os.chmod(aside, 0o755)  # mkdtemp makes private folders.
        os.mkdir(os.path.join(aside, "annotations"))
        for position, (split, count) in enumerate((("train", num_train), ("val", num_val))):
            _write_split(aside, split, count, image_size, (seed, position))
        _write_json(os.path.join(aside, _PARAMETERS_FILE), parameters)
        if os.path.isdir(folder):
            os.rmdir(folder)  # Empty, as checked above.
        os.rename(aside, folder)
    except OSError:
        # Another process may have finished the same set in the meantime.
        if not _is_present(folder, parameters):
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def load_shapes(folder, split, **parameters):
    """Reads one split of the sample set, drawing it first where it is not there.

    Args:
        folder: String or path of the sample set.
        split: `"train"` or `"val"`.
        **parameters: Arguments of `make_shapes`.

    Returns:
        A `DetectionDataset`.
    """
    if split not in ("train", "val"):
        raise ValueError(f"`split` must be 'train' or 'val'. Received: split={split!r}")
    folder = make_shapes(folder, **parameters)
    annotations = os.path.join(folder, "annotations", f"instances_{split}.json")
    return load_coco(os.path.join(folder, split), annotations, name=f"shapes_{split}")


def _is_present(folder, parameters):
    if not os.path.exists(folder):
        return False
    path = os.path.join(folder, _PARAMETERS_FILE)
    if not os.path.isfile(path):
        if os.path.isdir(folder) and not os.listdir(folder):
            return False
        raise DataError(
            f"{folder} exists and is not a sample set (it has no {_PARAMETERS_FILE}). "
            "It is left as it is: give another folder for the sample set, or for data of your own "
            f"their data.format (coco, voc, yolo, csv).\n{tried(path)}"
        )
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}. Remove {folder} or give another "
                        "folder.") from error  # fmt: skip
    if found != parameters:
        raise DataError(
            f"{folder} holds a sample set with other parameters: {found}, wanted {parameters}. "
            "It is left as it is: remove it or give another folder."
        )
    return True


def _write_split(folder, split, count, image_size, seed):
    os.mkdir(os.path.join(folder, split))
    images, annotations = [], []
    for index in range(count):
        pixels, boxes, classes = draw_scene(np.random.default_rng([*seed, index]), image_size)
        file_name = f"{index + 1:06d}.jpg"
        path = os.path.join(folder, split, file_name)
        Image.fromarray(pixels).save(path, quality=90, subsampling=0)
        image = {"id": index + 1, "file_name": file_name}
        images.append({**image, "height": image_size, "width": image_size})
        for (x1, y1, x2, y2), class_index in zip(boxes, classes):
            box = [round(float(v), 2) for v in (x1, y1, x2 - x1, y2 - y1)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": class_index + 1,
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                }
            )
    content = {
        "info": {"description": f"shapes {split}"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(SHAPE_CLASSES)],
    }
    _write_json(os.path.join(folder, "annotations", f"instances_{split}.json"), content)


def _write_json(path, content):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
