"""Names what is on images: the most probable classes of each.

Examples:
  python scripts/classify.py photo.jpg folder/ --weights runs/finetune
  python scripts/classify.py photo.jpg --weights hf://timm/resnet50.tv_in1k
"""

import argparse
import json
from pathlib import Path

from _common import EXIT_CODES, quiet_start, run

_LONGEST_LINE = 10_000


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="+", help="image files, or folders of them")
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
    parser.add_argument("--top", type=int, default=5, help="classes to name")
    parser.add_argument("--output", help="JSON file to write")
    arguments = parser.parse_args()
    if arguments.top < 1:
        parser.error("--top must be at least 1")

    quiet_start()
    from keras_resnet.classification.multi_crop import class_probabilities, make_views
    from keras_resnet.classification.source import open_classifier
    from keras_resnet.data.images import decode_image, read_bytes
    from keras_resnet.data.printable import printable
    from keras_resnet.training.run import check_output_file

    if arguments.output:
        check_output_file(arguments.output)
    paths = [path for name in arguments.images for path in _files(Path(name))]
    source = open_classifier(arguments.weights, arguments.network, arguments.preprocessing)
    views = make_views("one-crop", source.resize, source.crop, source.interpolation)

    def look(path):
        image = decode_image(read_bytes(str(path)), str(path))
        try:
            return views(image)
        except ValueError as error:
            raise ValueError(f"{printable(path)}: {error}") from None

    probabilities = class_probabilities(source.model, paths, look)
    found = dict(zip(map(str, paths), _named(probabilities, source, arguments.top)))
    for path, classes in found.items():
        listed = ", ".join(f"{name} {share:.3f}" for name, share in classes)
        print(printable(f"{path}: {listed}", _LONGEST_LINE))
    if arguments.output:
        output = Path(arguments.output)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _files(path):
    if not path.exists():
        from keras_resnet.data.missing_paths import tried

        raise ValueError(f"There is no file or folder {str(path)!r}.\n{tried(path)}")
    if not path.is_dir():
        return [path]
    from PIL import Image

    endings = set(Image.registered_extensions())
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in endings)
    if not files:
        raise ValueError(f"There are no images in the folder {str(path)!r}.")
    return files


def _named(probabilities, source, top):
    """For each image pairs of name and probability, the most probable class first."""
    if source.class_names is None and probabilities.shape[1] == 1000:
        from keras_resnet import decode_predictions

        decoded = decode_predictions(probabilities, top)
        return [[(name, float(share)) for _, name, share in row] for row in decoded]
    names = source.class_names or [f"class {i}" for i in range(probabilities.shape[1])]
    orders = (-probabilities).argsort(axis=1, kind="stable")[:, :top]
    return [[(names[i], float(row[i])) for i in order] for row, order in zip(probabilities, orders)]


if __name__ == "__main__":
    run(main)
