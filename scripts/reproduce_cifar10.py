"""Trains nets on CIFAR-10 and writes table 6 and figures 6 and 7 of He et al. 2015.

The nets are plain, residual and highway. Run it again to continue, or with more depths or seeds
to extend it.

Example: python scripts/reproduce_cifar10.py --data cifar-10-python.tar.gz --depths 20 56 --seeds 0
"""

import argparse
import logging
from pathlib import Path

from _common import EXIT_CODES, quiet_start, run


def main():
    arguments = parse()
    quiet_start()
    # Each run is a net of its own, and TensorFlow warns that it traces many.
    logging.getLogger("tensorflow").addFilter(lambda r: "retracing" not in r.getMessage())
    from keras_resnet.experiments.grid import make_grid
    from keras_resnet.experiments.remedies import REMEDIES
    from keras_resnet.experiments.runner import plan, reproduce
    from keras_resnet.experiments.settings import Settings

    remedies = list(REMEDIES) if arguments.remedies == [] else arguments.remedies or ()
    runs = make_grid(
        arguments.kinds,
        arguments.depths,
        arguments.shortcuts,
        arguments.seeds,
        remedies,
        arguments.remedy_depth,
    )
    settings = Settings(
        steps=arguments.steps,
        batch=arguments.batch,
        init=arguments.init,
        clip_norm=arguments.clip_norm,
        weight_decay=arguments.weight_decay,
        learning_rate=arguments.learning_rate,
        precision=arguments.precision,
        overrides=tuple(arguments.set),
    )
    folder = Path(arguments.project) / arguments.name
    if arguments.list:
        print_plan(plan(runs, settings, folder))
        return
    if arguments.data is None:
        raise ValueError("Say where CIFAR-10 is by --data, see --help. Received: no --data")
    say = (lambda line: None) if arguments.quiet else print
    reproduce(runs, settings, arguments.data, folder, arguments.download, say)


def print_plan(rows):
    """Prints the grid, the steps of each run and what is left to do."""
    width = max(len(r.name) for r, _, _ in rows)
    for r, config, state in rows:
        warmup = config.train.warmup_length
        print(
            f"{r.name:{width}}  {config.train.steps:>7,} steps of {config.data.pipeline.batch_size}"
            f", rate drops at {', '.join(f'{b:,}' for b in config.train.boundaries)}"
            f"{f', warm-up {warmup:,}' if warmup else ''}  {state}"
        )
    left = [config.train.steps for _, config, state in rows if state in ("to do", "interrupted")]
    print(f"{len(rows)} runs, {len(left)} to do, at most {sum(left):,} steps")


def parse():
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", help=".npz; folder or archive of the CIFAR-10 files; tfds or tfds:FOLDER")
    add("--download", action="store_true", help="tfds: allow to download")
    add("--kinds", nargs="+", default=["plain", "residual"], help="plain residual highway")
    add("--depths", nargs="+", type=int, default=[20, 32, 44, 56], help="layers, 6n + 2 each")
    add(
        "--shortcuts",
        nargs="+",
        default=["A"],
        help="of residual nets: A (zero_pad), B (projection), C (projection_all); default A",
    )
    add("--seeds", nargs="+", type=int, default=[0], help="one run each; default 0")
    add(
        "--steps",
        type=int,
        help="of each run, default 64000; the rate drops at 1/2 and 3/4, and the warm-up of nets "
        "of 110 layers and more shrinks in proportion",
    )
    add("--batch", type=int, help="images a step, default 128; the rate scales with it")
    add("--init", type=_init, help="he_fan_in (default), he_fan_out, xavier or a deviation")
    add("--clip-norm", type=float, help="clip gradients to this norm, default none")
    add("--weight-decay", type=float, help="L2, default 1e-4")
    add("--learning-rate", type=float, help="for batches of 128, default 0.1")
    add("--precision", help="float32 (default), mixed_bfloat16 or mixed_float16")
    add(
        "--remedies",
        nargs="*",
        help="try remedies on a plain net: xavier he_fan_out normal clip no_l2 strong_l2 batch64 "
        "batch256; without names all of them",
    )
    add("--remedy-depth", type=int, help="layers of that net, default the largest of --depths")
    add("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="anything else")
    add("--project", default="runs", help="folder of the experiments, default runs")
    add("--name", default="cifar10", help="of the experiment's folder, default cifar10")
    add("--list", action="store_true", help="print the grid and its steps and stop")
    add("--quiet", action="store_true", help="print nothing but errors")
    return parser.parse_args()


def _init(text):
    try:
        return float(text)
    except ValueError:
        return text


if __name__ == "__main__":
    run(main, "Interrupted. The same command continues.")
