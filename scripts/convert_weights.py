"""Converts weights between PyTorch's files (torchvision's or timm's names) and Keras' files.

The source is a file (.safetensors, .keras, .weights.h5), a name of published weights, or
hf://owner/repository; the ending of the target says what is written. Pickled checkpoints (.pth)
are not read; the message says how to convert them. The written file is read back and compared.

Example: python scripts/convert_weights.py resnet50.keras_in1k resnet50_v1.safetensors
"""

import argparse

from _common import EXIT_CODES, quiet_start, run


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="file, name of published weights, or hf://owner/repository")
    parser.add_argument("target", help="file to write: .safetensors, .keras or .weights.h5")
    parser.add_argument(
        "--architecture",
        help="for example ResNet50 (default: what the source says; a .weights.h5 says nothing)",
    )
    parser.add_argument("--classes", type=int, help="with --architecture (default: 1000)")
    parser.add_argument("--no-top", action="store_true", help="leave the classifier out")
    parser.add_argument(
        "--stride-in", choices=("1x1", "3x3"), help="where the source's bottlenecks stride"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing target")
    arguments = parser.parse_args()

    quiet_start()
    from keras_resnet.weights.convert import convert

    options = {"classes": arguments.classes, "stride_in": arguments.stride_in}
    options = {key: value for key, value in options.items() if value is not None}
    if arguments.no_top:
        options["include_top"] = False
    model = convert(
        arguments.source,
        arguments.target,
        arguments.architecture,
        overwrite=arguments.overwrite,
        **options,
    )
    print(
        f"Written and compared: {arguments.target}, {len(model.weights)} tensors, "
        f"{model.count_params():,} numbers, preprocessing {model.preprocessing or 'unknown'}"
    )


if __name__ == "__main__":
    run(main)
