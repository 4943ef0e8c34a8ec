"""Trains a detector from a configuration: data, model, loop, evaluation, pictures, export."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from detection.build import build_model
from detection.callbacks import DetectionImages, Evaluation, predict_together
from detection.config import Config
from detection.data import make_batches, numpy_batches
from detection.data_check import check_data
from detection.data_check.coverage import anchor_strides
from detection.datasets import open_dataset, plain_data_errors
from detection.pictures import draw_training_batches
from detection.pretrained import load_pretrained
from detection.run_identity import identity_of
from detection.run_outputs import write_outputs
from detection.saving import load, save_model
from detection.visualize import plot_labels
from keras_resnet.data.problems import problems_json
from keras_resnet.training import strict_json
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.config import dump_config
from keras_resnet.training.devices import (
    choose_jit,
    data_parallel,
    describe_hardware,
    precision_kept,
    set_deterministic,
    set_precision,
)
from keras_resnet.training.divergence import NaNStop
from keras_resnet.training.early_stopping import EarlyStopping
from keras_resnet.training.ema import EMA
from keras_resnet.training.locks import run_lock
from keras_resnet.training.loop import fit
from keras_resnet.training.loss_scale import LossScaleWatch
from keras_resnet.training.processes import (
    batch_share,
    from_main,
    gather,
    is_main,
    lost_processes,
)
from keras_resnet.training.profiling import Profile
from keras_resnet.training.progress import ProgressLogger
from keras_resnet.training.recipe import build_recipe_optimizer
from keras_resnet.training.results import CSVResults
from keras_resnet.training.run import removed_if_empty
from keras_resnet.training.run_state import resumes, run_folder
from keras_resnet.training.tensorboard import tensorboard_callback
from keras_resnet.training.verified_folder import write_file
from keras_resnet.training.write_errors import writing

_CHECKED = 2000  # Images of a split that the check before training looks at one by one.


@plain_data_errors()
@precision_kept()
def train_detector(
    config: Config, say: Callable[[str], Any] = print, stop_by_signals: bool = False
) -> tuple[Path, dict[str, Any]]:
    """Trains, evaluates, draws and exports; everything goes into a new run folder.

    Args:
        config: a `detection.config.Config`.
        say: callable that prints a line; pass `lambda line: None` for silence.
        stop_by_signals: bool, whether SIGINT and SIGTERM stop training with its state saved, as
            `keras_resnet.training.loop.fit` describes it.

    Returns:
        `(folder, metrics)`: the run folder and the figures of the best weights on
        the validation split.

    Raises:
        ValueError: the data cannot be used, or the configuration contradicts itself.
        TrainingDiverged: a loss became NaN or infinite.
        TrainingStopped: a signal stopped it.
        WriteError: the run folder cannot be written to.

    Example:

    ```python
    folder, metrics = detection.train_detector(detection.load_config("quickstart"))
    ```
    """
    started = time.monotonic()
    if not is_main():
        say = _silently
    set_precision(config.train.precision)
    if config.train.deterministic:
        set_deterministic()
    keras.utils.set_random_seed(config.train.seed)
    say(describe_hardware())
    with lost_processes(), contextlib.ExitStack() as stack:
        with data_parallel(config.train.devices, config.data.pipeline.batch_size):
            trained = _train(config, say, stop_by_signals, stack)
        return _finish(config, say, started, *trained)


def _train(config, say, stop_by_signals, stack):
    datasets = {split: open_dataset(config.data, split) for split in ("train", "val")}
    categories = categories_of(datasets)
    for dataset in datasets.values():
        say(dataset.summary(rest="the run's problems.json"))
    if not any(len(record.boxes) for record in datasets["train"].records):
        raise ValueError(
            f"The training data has no boxes to learn from. Received: {datasets['train'].name}"
        )

    pipeline = config.data.pipeline
    refuse_tiny_images(config)
    if pipeline.seed is None:
        pipeline = pipeline.model_copy(update={"seed": config.train.seed})
    identity = identity_of(config, datasets)
    folder = Path(from_main(lambda: str(run_folder(config.run, identity))))
    if is_main():
        stack.enter_context(run_lock(folder))
        stack.enter_context(removed_if_empty(folder))
    resume = from_main(lambda: resumes(config.run, folder))
    if config.run.data_check and is_main() and not resume:
        found = check_data(datasets, config, most_images=_CHECKED)
        say(f"data check (run.data_check):\n{found.remarks()}")
    # A whole detector's weights take the place of the backbone's.
    whole = config.train.start_from is not None
    # Whatever was drawn until here, the first weights are those of the seed.
    keras.utils.set_random_seed(config.train.seed)
    model = build_model(
        config.model.without_weights() if whole else config.model,
        categories,
        preprocessing_of(pipeline),
        seed=config.train.seed,
    )
    if config.train.start_from is not None and not resume:
        load_pretrained(model, config.train.start_from)
        say(f"starting with the weights of {config.train.start_from}")
    batches = make_batches(datasets["train"], pipeline, training=True)
    steps = config.train.total_steps(batches.steps_per_epoch)
    model.compile(
        build_recipe_optimizer(config.train, pipeline.batch_size, batches.steps_per_epoch),
        jit_compile=choose_jit(config.train.jit_compile),
        steps_per_execution=config.train.steps_per_execution,
    )
    if is_main() and not resume:
        with writing(folder):
            write_file(folder / "config.yaml", dump_config(config).encode())
            write_file(folder / "problems.json", problems_json(datasets))
            plot_labels(datasets["train"].to_coco(), folder / "labels.jpg")
            draw_training_batches(batches, categories, folder)
    say(f"{model.count_params():,} parameters, {steps} steps of {pipeline.batch_size} images")

    share = batch_share()
    evaluation_batches = make_batches(datasets["val"], pipeline, training=False, share=share)
    evaluation = Evaluation(model, evaluation_batches, datasets["val"], say)
    logs = fit(
        model,
        lambda epoch, batch: make_batches(
            datasets["train"],
            pipeline,
            training=True,
            start_epoch=epoch,
            start_batch=batch,
            share=share,
        ),
        steps=steps,
        folder=folder,
        callbacks=_callbacks(
            config, model, batches.plan, datasets["train"], folder, evaluation, say
        ),
        evaluate=evaluation,
        evaluate_every=config.train.evaluate_every,
        state_every=config.train.state_every,
        resume=resume,
        identity=identity,
        images_per_step=pipeline.batch_size,
        stop_by_signals=stop_by_signals,
        say=say,
    )

    return folder, logs, evaluation_batches, datasets["val"]


def _finish(config, say, started, folder, logs, batches, dataset):
    """Figures, pictures and export of the best weights; returns `(folder, metrics)`."""
    gather(None)  # The others wait until process 0 has saved the last weights.
    best = load(folder)
    results = predict_together(best, batches, dataset)
    if is_main():
        metrics = write_outputs(config, say, started, folder, logs, best, results, dataset)
    # They end together, and with the same figures.
    written = from_main(
        lambda: strict_json.loads((folder / "metrics.json").read_bytes(), "metrics.json")
    )
    return folder, metrics if is_main() else written


def refuse_tiny_images(config):
    """Refuses images that are smaller than one cell of the coarsest feature map.

    Args:
        config: a `detection.config.Config`.

    Raises:
        ValueError: they are.
    """
    stride = max(anchor_strides(config.model))
    jitter = config.data.pipeline.large_scale_jitter
    side = config.data.pipeline.max_side if jitter is None else jitter.size
    if side < stride:
        raise ValueError(
            f"Images of {side} pixels are smaller than one cell of the coarsest feature map, "
            f"{stride} x {stride} pixels: set imgsz (data.pipeline.max_side and min_sides) to "
            f"{4 * stride} or more. Received: data.pipeline.max_side={side}"
        )


def _silently(line):
    pass


def preprocessing_of(pipeline):
    """How images are resized outside training, as it travels with the model."""
    return {
        "min_side": pipeline.eval_min_side or max(pipeline.min_sides),
        "max_side": pipeline.max_side,
        "size_divisor": pipeline.size_divisor,
        **({} if pipeline.rounding == "nearest" else {"rounding": pipeline.rounding}),
    }


def categories_of(datasets):
    """The classes of training and validation data, which must be the same.

    Args:
        datasets: dict with `DetectionDataset`s `"train"` and `"val"`.

    Returns:
        List of `{"id", "name"}`.

    Raises:
        ValueError: they differ.
    """
    names = {split: dataset.class_names for split, dataset in datasets.items()}
    if names["train"] != names["val"]:
        raise ValueError(
            "Training and validation data must have the same classes in the same order. "
            f"Received: train={names['train']}, val={names['val']}"
        )
    return [{"id": c.id, "name": c.name} for c in datasets["train"].categories]


def _callbacks(config, model, plan, dataset, folder, evaluation, say):
    size = config.data.pipeline.batch_size

    def describe(epoch, step):
        rows = plan.epoch(epoch).index[step * size : (step + 1) * size]
        records = [dataset.records[row] for row in rows]
        return ", ".join(f"{r.image_id} ({Path(r.image_path).name})" for r in records)

    def batch(epoch, step):
        batches = make_batches(dataset, plan.config, True, start_epoch=epoch, start_batch=step)
        return next(iter(numpy_batches(batches)))

    callbacks = [
        NaNStop(describe, batch, folder),
        Checkpoints(
            folder / "weights",
            save=lambda path: save_model(model, path),
            monitor="metrics/mAP50-95",
        ),
        CSVResults(folder / "results.csv"),
        ProgressLogger(images_per_step=size, quiet=say is not print),
    ]
    if config.train.ema is not None:
        callbacks.insert(0, EMA(config.train.ema.decay, config.train.ema.every))
    if config.train.precision == "mixed_float16":
        callbacks.append(LossScaleWatch(say))
    if config.train.early_stopping is not None:
        callbacks.append(EarlyStopping("metrics/mAP50-95", config.train.early_stopping, say))
    if config.train.profile and is_main():
        callbacks.append(Profile(folder / "tensorboard", config.train.profile, say))
    if config.train.tensorboard and is_main():
        callback, note = tensorboard_callback(folder / "tensorboard")
        if callback is None:
            say(note)
        else:
            callbacks += [callback, DetectionImages(evaluation, folder / "tensorboard")]
    return callbacks
