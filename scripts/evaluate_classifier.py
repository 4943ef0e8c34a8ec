"""Evaluates a classifier at one crop, ten crops or several sizes: top-1, top-5, loss.

The published accuracy, where it is known, is printed beside the measured one.

Examples:
  python scripts/evaluate_classifier.py --weights runs/cifar10_resnet20
  python scripts/evaluate_classifier.py --weights hf://timm/resnet50.tv_in1k --data imagenet/val
  python scripts/evaluate_classifier.py --weights my.safetensors --network ResNet50 \\
      --data tfds:imagenet2012 --protocol ten-crop
"""

import argparse
import json
import sys
import time
from pathlib import Path

from _common import EXIT_CODES, quiet_start, run

PROTOCOLS = ("one-crop", "ten-crop", "multi-scale")


def main():
    arguments = _parse()
    quiet_start()
    from keras_resnet.classification.label_order import check_label_order
    from keras_resnet.classification.multi_crop import SCALES, evaluate_views, make_views
    from keras_resnet.training.run import check_output_file, check_output_folder

    if arguments.output:
        check = check_output_file if _alone(arguments.output) else check_output_folder
        check(arguments.output)
    source, dataset = _open(arguments)
    classes = source.model.output_shape[-1]
    note = check_label_order(dataset.class_names, classes, source.class_names)
    resize = source.resize if arguments.resize is None else arguments.resize or None
    crop = arguments.crop or source.crop
    scales = tuple(arguments.scales or SCALES)
    views = make_views(arguments.protocol, resize, crop, source.interpolation, scales)
    print(f"{source.name}, {classes} classes\n{dataset.summary()}")
    if note:
        print(f"note: {note}")
    started, rows = time.monotonic(), []
    figures = evaluate_views(
        source.model, dataset, views, arguments.batch, arguments.limit, _progress(), rows
    )
    report = {
        "weights": arguments.weights,
        "data": dataset.name,
        "protocol": arguments.protocol,
        **_geometry(arguments.protocol, resize, crop, scales),
        "interpolation": source.interpolation,
        "images": figures["images"],
        "classes": classes,
        "top1": figures["accuracy"],
        "top5": figures["top5"],
        "loss": figures["loss"],
        "published_top1": source.published,
        "seconds": round(time.monotonic() - started, 1),
    }
    print(_table(report))
    if arguments.output:
        _write(Path(arguments.output), report, dataset, rows, arguments.limit)


def _write(output, report, dataset, rows, limit):
    """A file of figures, or a folder with the page and the plots, too."""
    from keras_resnet.classification.multi_crop import evaluated_positions
    from keras_resnet.classification.predictions import Predictions
    from keras_resnet.classification.run_outputs import write_plots_and_page

    alone = _alone(output)
    path = output if alone else output / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"written     {path}")
    if alone:
        return
    positions = evaluated_positions(len(dataset), limit)
    metrics = {"accuracy": report["top1"], **{k: report[k] for k in ("top5", "loss", "seconds")}}
    if report["published_top1"] is not None:
        metrics["published_accuracy"] = report["published_top1"]
    told = ("weights", "protocol", "scales", "resize", "crop", "interpolation")
    about = [(name, report[name]) for name in told if report.get(name) is not None]
    write_plots_and_page(
        output, dataset, Predictions.of_batches(rows, positions), metrics, print, about
    )


def _alone(output):
    """Whether only the figures are to be written."""
    return Path(output).suffix == ".json"


def _parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--weights",
        required=True,
        help="run folder, saved classifier, name of published weights, hf://owner/name, "
        ".safetensors, .weights.h5 or .keras file",
    )
    parser.add_argument("--network", help="such as ResNet50; not for folders and published names")
    parser.add_argument(
        "--preprocessing", choices=("torch", "caffe", "tf"), help="of weights that do not say it"
    )
    parser.add_argument(
        "--data",
        help="folder of images, .npz, cifar10:PATH, cifar100:PATH or tfds:NAME (default: the data "
        "of the run)",
    )
    parser.add_argument("--data-dir", help="where TFDS keeps its data sets")
    parser.add_argument("--split", help="such as test, val, validation")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="one-crop")
    parser.add_argument(
        "--resize", type=int, help="length of the shorter side before the crop, 0: not resized"
    )
    parser.add_argument("--crop", type=_positive, help="height and width of the crops")
    parser.add_argument(
        "--scales", type=_positive, nargs="+", help="lengths of the shorter side for multi-scale"
    )
    parser.add_argument("--batch", type=_positive, default=64, help="views computed at a time")
    parser.add_argument("--limit", type=_positive, help="only so many images, evenly spread")
    parser.add_argument(
        "--output",
        help="folder for metrics.json, report.html and confusion_matrix.png; or a file ending in "
        ".json, for the figures alone",
    )
    arguments = parser.parse_args()
    scaled = arguments.protocol == "multi-scale"
    if scaled and (arguments.resize is not None or arguments.crop is not None):
        parser.error("--resize and --crop have no effect with --protocol multi-scale")
    if not scaled and arguments.scales is not None:
        parser.error("--scales is for --protocol multi-scale")
    if arguments.resize is not None and arguments.resize < 0:
        parser.error("--resize must be at least 0")
    return arguments


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _open(arguments):
    """The classifier and the data set; everything that is missing is said at once."""
    from keras_resnet.classification.source import open_classifier

    problems, source, dataset = [], None, None
    try:
        source = open_classifier(arguments.weights, arguments.network, arguments.preprocessing)
    except (ValueError, OSError) as error:
        problems.append(f"weights: {error}")
    try:
        # Of a run that cannot be opened it is not known whether it names data.
        if source is not None or arguments.data or not Path(arguments.weights).is_dir():
            dataset = _open_data(arguments, source)
    except (ValueError, OSError, ImportError) as error:
        problems.append(f"data: {error}")
    if problems:
        raise ValueError("\n  ".join(["cannot evaluate", *problems]))
    return source, dataset


def _open_data(arguments, source):
    from keras_resnet.classification.config import load_classifier_config
    from keras_resnet.classification.data_source import open_data
    from keras_resnet.classification.feeds import open_images

    if arguments.data is not None:
        return open_data(arguments.data, arguments.split, arguments.data_dir)
    if source is None or source.config is None:
        raise ValueError("say with --data what to evaluate on")
    overrides = [] if arguments.split is None else [f"data.val={arguments.split}"]
    return open_images(load_classifier_config(str(source.config), overrides).data, "val")


def _progress():
    last = time.monotonic()

    def show(done, total):
        nonlocal last
        if time.monotonic() - last >= 10 and done < total:
            last = time.monotonic()
            print(f"  {done}/{total} images", file=sys.stderr, flush=True)

    return show


def _geometry(protocol, resize, crop, scales):
    return {"scales": scales} if protocol == "multi-scale" else {"resize": resize, "crop": crop}


def _table(report):
    published = report["published_top1"]
    rows = [("", "measured", "published")]
    rows += [("top-1", f"{report['top1']:.4f}", "-" if published is None else f"{published:.4f}")]
    if report["classes"] > 5:
        rows += [("top-5", f"{report['top5']:.4f}", "-")]
    rows += [("loss", f"{report['loss']:.4f}", "-")]
    if "scales" in report:
        how = f"scales {', '.join(map(str, report['scales']))}"
    else:
        resized = "as it is" if report["resize"] is None else f"resized to {report['resize']}"
        how = f"{resized}, crop {report['crop']}"
    lines = [f"{name:8} {measured:>10} {other:>10}" for name, measured, other in rows]
    head = f"{report['protocol']} ({how}), {report['images']} images, {report['seconds']} s"
    return "\n".join([head, *lines])


if __name__ == "__main__":
    run(main)
