"""Computes again the batch at which a run diverged, and names where the first NaN comes from.

The weights are those of the last whole epoch, a little before the step at which it happened; if
they give finite losses, the step before that broke the weights.

Example: python scripts/replay_batch.py runs/train
"""

import argparse
from pathlib import Path

from _common import EXIT_CODES, quiet_start, run


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="run folder of a classifier or a detector")
    parser.add_argument("--batch", type=Path, help="file in it (default: all diverged_*.npz)")
    parser.add_argument("--weights", choices=["last", "best"], default="last")
    arguments = parser.parse_args()

    files = [arguments.batch] if arguments.batch else sorted(arguments.run.glob("diverged_*.npz"))
    if not files:
        raise ValueError(f"{arguments.run} holds no diverged_*.npz: the run did not diverge.")
    place = arguments.run / "weights" / arguments.weights
    if not place.is_dir():
        raise ValueError(
            f"There is no {place}: the run diverged in its first epoch. Its state before that is "
            "in weights/state; the run does the same again with --resume."
        )
    quiet_start()
    from keras_resnet.training.broken_batch import replay

    model = _load(arguments.run, place)
    for path in files:
        _print(path, replay(model, path))


def _load(folder, place):
    """The model of a run, compiled."""
    from keras_resnet.training.config_yaml import parse

    path = folder / "config.yaml"
    if "backbone" in parse(path.read_text(encoding="utf-8"), str(path))["model"]:
        import detection

        model = detection.load(place)
        model.compile()
        return model
    from keras_resnet.classification.build import compile_classifier
    from keras_resnet.classification.config import load_classifier_config
    from keras_resnet.classification.model import load_classifier

    model = load_classifier(place)
    config = load_classifier_config(str(path))
    compile_classifier(config, model, len(model.class_names), steps_per_epoch=1)
    return model


def _print(path, found):
    about = found["about"]
    print(f"{path.name}: epoch {about['epoch']}, step {about['step']}; {about['batch']}")
    print("  in the run   " + ", ".join(f"{k} {v}" for k, v in about["losses"].items()))
    print("  again        " + ", ".join(f"{k} {v:.6g}" for k, v in found["losses"].items()))
    for kind in ("inputs", "weights"):
        if found[kind]:
            print(f"  not finite among the {kind}: {', '.join(found[kind][:10])}")
    print(f"  first layer whose output is not finite: {found['layer'] or 'none'}")


if __name__ == "__main__":
    run(main)
