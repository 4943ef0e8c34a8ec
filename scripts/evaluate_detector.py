"""Evaluates a trained detector: 12 COCO figures, VOC mAP, a table of classes.

Example: python scripts/evaluate_detector.py runs/quickstart
         python scripts/evaluate_detector.py runs/quickstart \\
             --set model.roi_heads.refinements=1 model.test_time.flip=true
         python scripts/evaluate_detector.py served/shapes --config runs/quickstart/config.yaml \\
             --trust
"""

import argparse
from pathlib import Path

from _arguments import add_config_arguments, load_with, of_the_model, overrides_of
from _common import EXIT_CODES, quiet_start, run
from _words import EVALUATION


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", help="run folder, artefact, .keras file, or an exported SavedModel"
    )
    parser.add_argument(
        "--config", help="YAML file or name of the data to use (default: config.yaml of the run)"
    )
    add_config_arguments(parser, EVALUATION)
    parser.add_argument("--split", choices=("train", "val"), default="val")
    parser.add_argument("--output", help="folder for metrics.json, predictions.json, report.html")
    parser.add_argument(
        "--trust", action="store_true", help="load a .keras file or a SavedModel of known origin"
    )
    arguments = parser.parse_args()
    # Keys under model. change the loaded model and must leave its weights in their places.
    model_changes, changes = of_the_model(overrides_of(arguments, EVALUATION))

    quiet_start(arguments)
    import detection
    from detection.evaluate import evaluate_model
    from detection.evaluation import summary_table
    from detection.served import load_served, served_folder
    from keras_resnet.data.missing_paths import tried
    from keras_resnet.training.model_kind import DETECTOR, refuse_other_kind
    from keras_resnet.training.run import check_output_folder

    output = arguments.output and Path(arguments.output)
    if output:
        check_output_folder(output)
    model_path = Path(arguments.model)
    if not model_path.exists():
        raise ValueError(
            f"There is no model or run folder {arguments.model!r}.\n{tried(arguments.model)}"
        )
    # Before the configuration, which is of the same kind.
    refuse_other_kind(model_path, DETECTOR)
    source = arguments.config or model_path / "config.yaml"
    if arguments.config is None and not source.is_file():
        raise ValueError(
            f"There is no {source}: say with --config which data to evaluate on. "
            f"Received: model={arguments.model!r}\n{tried(source)}"
        )
    config = load_with(detection.load_config, str(source), changes, arguments)
    if served_folder(model_path) is None:
        model = detection.load(model_path, trust=arguments.trust, overrides=model_changes)
    elif model_changes:
        raise ValueError(
            "An exported model cannot be changed: change its run and export that. "
            f"Received: --set {' '.join(f'model.{change}' for change in model_changes)}"
        )
    else:
        model = load_served(model_path, trust=arguments.trust)
    metrics = evaluate_model(model, config, split=arguments.split, output=output, say=print)
    print(summary_table(metrics))
    if output:
        names = ("metrics.json", "predictions.json", "report.html")
        print("Written: " + ", ".join(str(output / name) for name in names))


if __name__ == "__main__":
    run(main)
