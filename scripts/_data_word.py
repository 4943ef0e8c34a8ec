"""What the word `data` stands for: by what is in the folder, or what file it is."""

import json
import re
from pathlib import Path

# The built-in sample set says by this file what it was drawn with.
_SAMPLE_SET = "parameters.json"
_SHARE = "data.val_share=0.2"


def detector_data(value, evaluating=False):
    """Overrides for a data set, each part of which a later override may replace.

    Args:
        value: str, the path given.
        evaluating: bool, whether one file is all there is to evaluate on, instead of to train and
            validate on.

    Returns:
        `(overrides, known)`; what is not `known` is only given as `data.root`, which is right for
        some formats.
    """
    plain = value.strip("'\"")
    path = Path(plain)
    if path.suffix in (".yaml", ".yml") or (path / "data.yaml").is_file():
        # The splits are those of the YOLO file, not those of the configuration.
        return [*_start("yolo", plain), "data.val_share=null"], True
    if path.suffix.lower() in (".csv", ".tsv"):
        return _one_file("csv", {"annotations": plain}, evaluating), True
    if (path / "Annotations").is_dir():
        return [*_start("voc", plain), *_voc_splits(path)], True
    if not (path / _SAMPLE_SET).is_file():
        found = _coco_splits(path)
        if found:
            parts = [text for split, keys in found.items() for text in _part(split, keys)]
            return [*_start("coco", None), *parts, "data.val_share=null"], True
    return [_text("data.root", plain)], False


def merged(data, others):
    """Puts `data.val` and `data.val_share` of the word in the place that other keys leave."""
    names = {text.partition("=")[0].strip() for text in others}
    if "data.val_share" in names:
        data = [t for t in data if not t.startswith(("data.val.", "data.val_share="))]
    if any(name == "data.val" or name.startswith("data.val.") for name in names):
        data = [t for t in data if t != _SHARE]
    return [*data, *others]


def unknown_data(path, data_format):
    """The error about data that are not what the format of a configuration takes, or None.

    Args:
        path: str, that of the word.
        data_format: str, `data.format` of the configuration.

    Returns:
        `ValueError` or None.
    """
    from keras_resnet.data.missing_paths import tried

    place = Path(path)
    if data_format not in ("shapes", "coco", "csv"):
        return None  # These read a folder, and say what it has not.
    if data_format == "shapes" and (place / _SAMPLE_SET).is_file():
        return None
    if not place.exists():
        what = f"There is no {path}."
    elif place.is_dir():
        what = f"{path} is no data set whose format can be told by its files."
    else:
        what = f"{path} does not say on its own which images and classes there are."
    named = [path]
    if place.is_dir():
        named += [str(place / name) for name in ("data.yaml", "Annotations/", "annotations/")]
    lines = [f"{what} Received: data={path}", tried(*named), "What to write:", *_ways(place)]
    if data_format == "shapes" and not place.is_file() and not any(place.glob("*")):
        lines.append(f"  the built-in sample set, drawn there: --set data.root={path}")
    return ValueError("\n".join(lines))


def _ways(place):
    """What to write for what is in a folder; for all formats where that is nothing known."""
    files = [place] if place.is_file() else _files(place)
    ways = []
    annotations = [file for file in files if file.suffix == ".json"]
    if annotations:
        ways.append(_coco_line(place, annotations))
    tables = [file for file in files if file.suffix.lower() == ".csv"]
    if tables:
        ways.append(f"  CSV: --data {tables[0]}, or --set data.format=csv data.root=null "
                    f"data.train.annotations={tables[0]} data.val.annotations=...")  # fmt: skip
    if (place / "labels").is_dir():
        ways.append("  YOLO: --data data.yaml, a file that names the images and the classes")
    return ways or [
        "  COCO: --set data.format=coco data.root=null data.train.images=FOLDER "
        "data.train.annotations=FILE.json data.val.images=... data.val.annotations=...",
        "  VOC: --data FOLDER that holds Annotations, JPEGImages and ImageSets "
        "(--set data.format=voc data.root=FOLDER data.train.split=train data.val.split=val)",
        "  YOLO: --data data.yaml (--set data.format=yolo data.root=data.yaml)",
        "  CSV: --data FILE.csv (--set data.format=csv data.root=null data.train.annotations=...)",
    ]


def _coco_line(place, annotations):
    named = {split: [f for f in annotations if pattern.search(f.name)]
             for split, pattern in _SPLIT_NAMES.items()}  # fmt: skip
    train = (named["train"] or annotations)[0]
    line = (
        "  COCO: --set data.format=coco data.root=null data.train.images=FOLDER "
        f"data.train.annotations={train}"
    )
    if named["val"] and named["val"][0] != train:
        return f"{line} data.val.images=FOLDER data.val.annotations={named['val'][0]}"
    return f"{line} data.val=null {_SHARE}"


def _files(place):
    try:
        return sorted(f for p in ("*", "annotations/*") for f in place.glob(p) if f.is_file())
    except OSError:
        return []


def _start(data_format, root):
    first = [f"data.format={data_format}"]
    first.append("data.root=null" if root is None else _text("data.root", root))
    return [*first, "data.train=null", "data.val=null"]


def _one_file(data_format, keys, evaluating):
    start = [*_start(data_format, None), *_part("train", keys)]
    return [*start, *_part("val", keys), "data.val_share=null"] if evaluating else [*start, _SHARE]


def _part(split, keys):
    return [_text(f"data.{split}.{key}", text) for key, text in keys.items()]


def _voc_splits(path):
    """The pair of lists that there is; the one for tests is better than a part of training."""
    there = {file.stem for file in (path / "ImageSets" / "Main").glob("*.txt")}
    for pair in (("trainval", "test"), ("train", "val"), ("train", "test")):
        if there.issuperset(pair):
            break
    else:
        alone = [name for name in ("trainval", "train") if name in there]
        if alone:
            return [f"data.train.split={alone[0]}", _SHARE]
        pair = ("train", "val")
    return [f"data.train.split={pair[0]}", f"data.val.split={pair[1]}", "data.val_share=null"]


_SPLIT_NAMES = {
    "train": re.compile(r"(^|[^a-z])train", re.IGNORECASE),
    "val": re.compile(r"(^|[^a-z])val", re.IGNORECASE),
}


def _coco_splits(path):
    """The images and the file of both splits of a COCO folder, where there is but one way."""
    found = {}
    for split, pattern in _SPLIT_NAMES.items():
        exported = path / ("train" if split == "train" else "valid")  # Roboflow's
        if (exported / "_annotations.coco.json").is_file():
            pairs = [(exported, exported / "_annotations.coco.json")]
        else:
            files = [f for f in (path / "annotations").glob("*.json") if pattern.search(f.name)]
            # The same folder has captions and keypoints of the same images.
            files = [f for f in files if f.name.startswith("instances_")] or files
            pairs = [(folder, file) for file in files for folder in _images_of(path, file)]
        if len(pairs) != 1:
            return None
        found[split] = dict(zip(("images", "annotations"), map(str, pairs[0])))
    return found


def _images_of(path, file):
    name = file.stem.removeprefix("instances_")
    places = (path / name, path / "images" / name)
    return [folder for folder in places if folder.is_dir()]


def _text(key, value):
    return f"{key}={json.dumps(value, ensure_ascii=False)}"
