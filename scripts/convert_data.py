"""Converts a data set of any format that is read to COCO's.

Writes the JSON file named by --out and nothing else: images stay where they are (with --extract,
those inside TFRecord files are copied). What cannot be used in the source is told and left out.

SOURCE is, by FORMAT:
  yolo   data.yaml, or its folder     voc   the folder that holds Annotations and JPEGImages
  csv    the CSV file                 tfds  the name of the data set, such as voc/2007
  coco   the JSON file, such as an export of Label Studio or CVAT (needs --images)

Example: python scripts/convert_data.py yolo photos/data.yaml --split val --out val.json
"""

import argparse
import json
from pathlib import Path

from _common import EXIT_CODES, quiet_start, run

# By format: the name of the source among the arguments of its reader, and other arguments.
_ARGUMENTS = {
    "coco": ("annotations_file", {"images_dir"}),
    "voc": ("root", {"split", "classes"}),
    "yolo": ("data_yaml", {"split"}),
    "csv": ("annotations_file", {"images_dir", "classes"}),
    "tfds": ("name", {"split", "data_dir", "download"}),
}
_FLAGS = {"images_dir": "--images", "data_dir": "--data-dir"}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("format", choices=sorted(_ARGUMENTS), metavar="FORMAT")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("--out", required=True, metavar="FILE", help="the JSON file to write")
    reading = parser.add_argument_group("reading")
    reading.add_argument(
        "--split", help="yolo: train, val or test (default: train); voc, tfds: needed"
    )
    reading.add_argument(
        "--images",
        dest="images_dir",
        metavar="FOLDER",
        help="coco: the images; csv: likewise (default: the folder of the CSV file)",
    )
    reading.add_argument(
        "--classes", nargs="+", metavar="CLASS", help="voc, csv: the classes in the wanted order"
    )
    reading.add_argument(
        "--classes-file", metavar="FILE", help="csv: a class, or class,number, in each line"
    )
    reading.add_argument("--data-dir", metavar="FOLDER", help="tfds: where it is prepared")
    reading.add_argument(
        "--download",
        action="store_const",
        const=True,
        help="tfds: fetch and prepare what is not there",
    )
    reading.add_argument(
        "--max-bad-images", type=int, default=0, metavar="N", help="leave out up to N bad images"
    )
    writing = parser.add_argument_group("writing")
    writing.add_argument(
        "--extract", metavar="FOLDER", help="copy the images into this folder, which is empty"
    )
    writing.add_argument("--overwrite", action="store_true", help="replace an existing FILE")
    arguments = parser.parse_args()
    options = _options(arguments, parser)
    out = Path(arguments.out)
    if out.exists() and not arguments.overwrite:
        raise FileExistsError(f"{out} is there already; --overwrite replaces it.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"The folder of --out must exist. Received: --out {out}")

    quiet_start()
    from detection.data import coco_content, extract_images, load_dataset
    from keras_resnet.data.record_files import tfds_arguments
    from keras_resnet.training.verified_folder import write_file

    with tfds_arguments("--download", "--data-dir"):
        dataset = load_dataset(arguments.format, **options)
    if arguments.extract is not None:
        dataset = extract_images(dataset, arguments.extract)
    content, images_dir = coco_content(dataset)
    write_file(out, json.dumps(content, allow_nan=False).encode())
    print(dataset.summary())
    print(f"Written: {out}\nUse it with")
    print(f"  data.format=coco data.train.images={images_dir} data.train.annotations={out}")


def _options(arguments, parser):
    """The arguments of the reader; what its format does not take is refused."""
    source, taken = _ARGUMENTS[arguments.format]
    options = {source: arguments.source, "max_bad_images": arguments.max_bad_images}
    if arguments.classes and arguments.classes_file:
        parser.error("--classes and --classes-file exclude each other")
    if arguments.classes_file and arguments.format != "csv":
        parser.error(f"--classes-file is not used by {arguments.format}")
    given = {
        "split": arguments.split,
        "images_dir": arguments.images_dir,
        "classes": arguments.classes_file or arguments.classes,
        "data_dir": arguments.data_dir,
        "download": arguments.download,
    }
    for name, value in given.items():
        flag = _FLAGS.get(name, f"--{name}")
        if value is not None and name not in taken:
            parser.error(f"{flag} is not used by {arguments.format}")
        if value is not None:
            options[name] = value
    needed = {"coco": ["images_dir"], "voc": ["split"], "tfds": ["split"]}
    for name in needed.get(arguments.format, ()):
        if name not in options:
            parser.error(f"{arguments.format} needs {_FLAGS.get(name, f'--{name}')}")
    return options


if __name__ == "__main__":
    run(main)
