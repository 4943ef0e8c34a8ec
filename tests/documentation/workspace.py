"""A folder in which the documentation's commands find everything that they name."""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from detection.data import load_coco, make_shapes
from tests.documentation.blocks import ROOT

TINY = ("train.steps=2", "train.evaluate_every=1", "run.pictures=2")


def make_workspace(folder):
    """Writes data sets under the names of the documentation, and a trained run.

    Args:
        folder: pathlib.Path, exists.
    """
    (folder / "scripts").symlink_to(ROOT / "scripts")
    shapes = make_shapes(
        folder / "datasets" / "shapes_small", num_train=8, num_val=6, image_size=64
    )
    make_data(folder, shapes)
    _name_as(
        shapes, folder / "coco128", "val2017", None, "annotations/instances_val2017.json", None
    )
    write_voc(shapes, folder / "datasets" / "bccd", {"trainval": "train", "test": "val"})
    shutil.copytree(folder / "datasets" / "bccd", folder / "path" / "to" / "BCCD")
    shutil.copytree(folder / "datasets" / "bccd", folder / "BCCD")
    _write_photos(shapes, folder)
    _write_classes(folder / "my_images")
    _write_cifar(folder)
    for name in ("photo.jpg", "a.jpg", "b.png"):
        Image.open(folder / "mine" / "val" / sorted_names(folder / "mine" / "val")[0]).save(
            folder / name
        )


def make_data(folder, shapes):
    """Writes the sample set into the folder `mine`, in each format of detection.

    Args:
        folder: pathlib.Path, exists.
        shapes: folder of `make_shapes`.
    """
    _name_as(shapes, folder / "mine", "train", "val", "train.json", "val.json")
    _write_yolo(shapes, folder / "mine")
    write_voc(shapes, folder / "mine", {"train": "train", "val": "val"})
    _write_csv(shapes, folder / "mine")


def sorted_names(folder):
    return sorted(path.name for path in folder.iterdir())


def _name_as(shapes, root, train, val, train_file, val_file):
    for split, images, file in (("train", train, train_file), ("val", val, val_file)):
        if images is None:
            continue
        shutil.copytree(f"{shapes}/{split}", root / images)
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"{shapes}/annotations/instances_{split}.json", root / file)


def _write_photos(shapes, root):
    """COCO's format with the images of both splits in one folder."""
    (root / "photos").mkdir()
    for split in ("train", "val"):
        content = json.loads(Path(f"{shapes}/annotations/instances_{split}.json").read_text())
        for image in content["images"]:
            name, image["file_name"] = image["file_name"], f"{split}_{image['file_name']}"
            shutil.copy(f"{shapes}/{split}/{name}", root / "photos" / image["file_name"])
        (root / f"{split}.json").write_text(json.dumps(content))


def _write_yolo(shapes, root):
    """The sample set with label files and a `data.yaml`, by hand."""
    for split in ("train", "val"):
        data = load_coco(f"{shapes}/{split}", f"{shapes}/annotations/instances_{split}.json")
        shutil.copytree(f"{shapes}/{split}", root / "images" / split)
        (root / "labels" / split).mkdir(parents=True)
        for record in data.records:
            x1, y1, x2, y2 = record.boxes.T
            size = np.array([record.width, record.height] * 2)
            boxes = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1) / size
            rows = [f"{c} {' '.join(map(str, box))}" for c, box in zip(record.classes, boxes)]
            name = f"{Path(record.image_path).stem}.txt"
            (root / "labels" / split / name).write_text("\n".join(rows) + "\n")
        names = "".join(f"  {i}: {name}\n" for i, name in enumerate(data.class_names))
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")


def _write_csv(shapes, root):
    """The boxes of the sample set as rows, beside the folders of its images."""
    for split in ("train", "val"):
        data = load_coco(f"{shapes}/{split}", f"{shapes}/annotations/instances_{split}.json")
        rows = []
        for record in data.records:
            name = f"{split}/{Path(record.image_path).name}"
            for box, c in zip(record.boxes, record.classes):
                rows.append(f"{name},{','.join(map(str, box))},{data.class_names[c]}")
            if not len(record.boxes):
                rows.append(f"{name},,,,,")
        (root / f"{split}.csv").write_text("\n".join(rows) + "\n")


def write_voc(shapes, root, splits):
    """The sample set in Pascal VOC's layout, by hand.

    Args:
        shapes: folder of `make_shapes`.
        root: pathlib.Path to write to.
        splits: dict from a split's name in VOC's layout to that in the sample set.
    """
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for split, theirs in splits.items():
        data = load_coco(f"{shapes}/{theirs}", f"{shapes}/annotations/instances_{theirs}.json")
        names = []
        for number, record in enumerate(data.records):
            name = f"BloodImage_{number + (7 if theirs == 'val' else 100):05d}"
            names.append(name)
            Image.open(record.image_path).convert("RGB").save(root / "JPEGImages" / f"{name}.jpg")
            objects = "".join(
                f"<object><name>{data.class_names[c]}</name><bndbox><xmin>{x1 + 1:.0f}</xmin>"
                f"<ymin>{y1 + 1:.0f}</ymin><xmax>{x2:.0f}</xmax><ymax>{y2:.0f}</ymax></bndbox>"
                "</object>"
                for (x1, y1, x2, y2), c in zip(record.boxes, record.classes)
            )
            (root / "Annotations" / f"{name}.xml").write_text(
                f"<annotation><filename>{name}.jpg</filename><size><width>{record.width}</width>"
                f"<height>{record.height}</height><depth>3</depth></size>{objects}</annotation>"
            )
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")


def _write_classes(root):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
            (root / split / name).mkdir(parents=True)
            for i in range(4):
                pixels = rng.integers(0, 50, (48, 56, 3)) + np.array(colour)
                Image.fromarray(pixels.astype("uint8")).save(root / split / name / f"{i}.jpg")


def _write_cifar(folder):
    """CIFAR-10's archive and a subset as arrays, of random pixels."""
    rng = np.random.default_rng(0)
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:

        def add(name, content):
            data = pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))

        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            pixels = rng.integers(0, 256, (40, 3072), dtype="uint8")
            add(name, {b"data": pixels, b"labels": [i % 10 for i in range(40)]})
        add("batches.meta", {b"label_names": [b"class %d" % i for i in range(10)]})
    arrays = {}
    for split, count in (("train", 160), ("test", 40)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 32, 32, 3), dtype="uint8")
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(folder / "cifar10_subset.npz", **arrays)


def run(command, folder):
    """Runs a shell command in the workspace, with this Python first on the PATH."""
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
