"""Trains a classifier from a configuration: data, model, loop, evaluation."""

import contextlib
import time
from pathlib import Path

import keras
import numpy as np

from keras_resnet.classification.build import compile_classifier, make_model
from keras_resnet.classification.evaluation import evaluate_logits
from keras_resnet.classification.feeds import (
    DeviceFeed,
    PipelineFeed,
    normalization,
    on_device,
    open_images,
)
from keras_resnet.classification.model import save_classifier
from keras_resnet.classification.predictions import Predictions
from keras_resnet.classification.run_outputs import write_outputs
from keras_resnet.data.errors import plain_data_errors
from keras_resnet.data.problems import problems_json
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.config import dump_config
from keras_resnet.training.devices import (
    data_parallel,
    describe_hardware,
    precision_kept,
    set_precision,
)
from keras_resnet.training.divergence import NaNStop
from keras_resnet.training.early_stopping import EarlyStopping
from keras_resnet.training.ema import EMA
from keras_resnet.training.locks import run_lock
from keras_resnet.training.loop import fit
from keras_resnet.training.loss_scale import LossScaleWatch
from keras_resnet.training.plateau import Plateau
from keras_resnet.training.processes import (
    batch_share,
    from_main,
    is_main,
    lost_processes,
    on_own_device,
)
from keras_resnet.training.profiling import Profile
from keras_resnet.training.progress import ProgressLogger
from keras_resnet.training.results import CSVResults
from keras_resnet.training.run import removed_if_empty
from keras_resnet.training.run_state import resumes, run_folder
from keras_resnet.training.tensorboard import tensorboard_callback
from keras_resnet.training.verified_folder import write_file
from keras_resnet.training.write_errors import writing


@plain_data_errors(
    "Set data.verify=decode to look for such images before training, and data.max_bad_images to "
    "leave them out."
)
@precision_kept()
def train_classifier(config, say=print, callbacks=(), stop_by_signals=False):
    """Trains and evaluates a classifier; everything goes into a new run folder.

    Args:
        config: a `ClassifierConfig`.
        say: callable that prints a line; pass `lambda line: None` for silence.
        callbacks: further Keras callbacks.
        stop_by_signals: bool, whether SIGINT and SIGTERM stop training with its state saved, as
            `fit` describes it.

    Returns:
        `(folder, metrics)`: the run folder and the figures of the last epoch's weights on the
        evaluated split, with `best_accuracy`, that of the best epoch.

    Raises:
        ValueError: the data cannot be used, or the configuration contradicts itself.
        TrainingDiverged: the loss became NaN or infinite.
        TrainingStopped: a signal stopped it.
        WriteError: the run folder cannot be written to.

    Example:
    ```python
    config = load_classifier_config("cifar10_resnet20", ["data.root=cifar-10-python.tar.gz"])
    folder, metrics = train_classifier(config)
    ```
    """
    started = time.monotonic()
    if not is_main():
        say = _silently
    set_precision(config.train.precision)
    keras.utils.set_random_seed(config.train.seed)
    say(describe_hardware())
    with (
        lost_processes(),
        data_parallel(config.train.devices, config.data.pipeline.batch_size),
        contextlib.ExitStack() as stack,
    ):
        return _train(config, say, callbacks, stop_by_signals, started, stack)


def _train(config, say, callbacks, stop_by_signals, started, stack):
    train, val = (open_images(config.data, split) for split in ("train", "val"))
    if train.class_names != val.class_names:
        raise ValueError(
            "Training and evaluation data must have the same classes in the same order. Received: "
            f"train={_some(train.class_names)}, val={_some(val.class_names)}"
        )
    for dataset in (train, val):
        say(dataset.summary(rest="the run's problems.json"))
    resident = on_device(config.data, train)
    mean, std = normalization(config.data, train)
    model = make_model(config, train, mean, std)
    feed_class = DeviceFeed if resident else PipelineFeed
    # What lies beyond the border is zero after normalisation, as in the paper.
    fill = np.rint(mean.reshape(-1, 3).mean(axis=0)).astype("uint8")
    feed = feed_class(
        config.data,
        model,
        train,
        val,
        config.train.seed,
        config.train.evaluation_batch,
        fill,
        share=batch_share(),
    )
    batches = feed.training_batches()
    steps = config.train.total_steps(batches.steps_per_epoch)
    compile_classifier(config, feed.training_model, len(train.class_names), batches.steps_per_epoch)
    identity = _identity(config, train, val)
    folder = Path(from_main(lambda: str(run_folder(config.run, identity))))
    if is_main():
        stack.enter_context(run_lock(folder))
        stack.enter_context(removed_if_empty(folder))
    resume = from_main(lambda: resumes(config.run, folder))
    if is_main() and not resume:
        with writing(folder):
            write_file(folder / "config.yaml", dump_config(config).encode())
            write_file(folder / "problems.json", problems_json({"train": train, "val": val}))
    say(
        f"{model.get_layer('network').count_params():,} parameters, {steps} steps of "
        f"{config.data.pipeline.batch_size} images" + (", images on the device" if resident else "")
    )

    rows = []  # of the last evaluation

    def evaluate(epoch):
        rows.clear()
        found = evaluate_logits(feed.evaluation_model, feed.evaluation_batches(), rows)
        found["error"] = 1.0 - found["accuracy"]
        return {f"val_{k}": v for k, v in found.items() if k != "images"}

    own = _callbacks(config, model, feed, train, folder, say)
    logs = fit(
        feed.training_model,
        feed.training_batches,
        steps=steps,
        folder=folder,
        callbacks=[*own, *callbacks],
        evaluate=evaluate,
        evaluate_every=config.train.evaluate_every,
        state_every=config.train.state_every,
        resume=resume,
        identity=identity,
        images_per_step=config.data.pipeline.batch_size,
        stop_by_signals=stop_by_signals,
        say=say,
    )
    if not rows:  # The run was complete before.
        with _evaluated_weights(own):
            evaluate(None)
    predictions = Predictions.of_batches(rows)
    metrics = from_main(
        lambda: write_outputs(
            config, logs, folder, time.monotonic() - started, val, predictions, say
        )
    )
    say(
        f"accuracy {metrics['accuracy']:.4f} after {steps} steps (best epoch "
        f"{metrics['best_accuracy']:.4f}), {metrics['seconds'] / 60:.1f} minutes\n"
        f"run         {folder}"
    )
    return folder, metrics


def _evaluated_weights(callbacks):
    """Within it, the model has the weights that are evaluated and saved."""
    ema = next((c for c in callbacks if isinstance(c, EMA)), None)
    return contextlib.nullcontext() if ema is None else ema.applied()


def _callbacks(config, model, feed, train, folder, say):
    def describe(epoch, step):
        rows = feed.training_batches().rows(epoch, step)
        return ", ".join(train.where(int(row)) for row in rows)

    def batch(epoch, step):
        x, y = next(iter(feed.training_batches(epoch, step, whole=True)))
        if feed.training_model is not model:
            # Positions of images on the device: what is kept are their pixels.
            with on_own_device(feed.training_model):
                x = feed.training_model.get_layer("train_images")(x)
        return x, y

    callbacks = [
        NaNStop(describe, batch, folder),
        Checkpoints(
            folder / "weights",
            save=lambda path: save_classifier(model, path),
            monitor="val_accuracy",
        ),
        CSVResults(folder / "results.csv"),
        ProgressLogger(
            images_per_step=config.data.pipeline.batch_size,
            quiet=say is not print,
            labels={f"val_{k}": f"test {k}" for k in ("accuracy", "loss", "error", "top5")},
        ),
    ]
    if config.train.ema is not None:
        callbacks.insert(0, EMA(config.train.ema.decay, config.train.ema.every))
    if config.train.precision == "mixed_float16":
        callbacks.append(LossScaleWatch(say))
    if config.train.schedule == "plateau":
        callbacks.append(Plateau("val_error", config.train.gamma, config.train.patience, say))
    if config.train.early_stopping is not None:
        callbacks.append(EarlyStopping("val_accuracy", config.train.early_stopping, say))
    if config.train.profile and is_main():
        callbacks.append(Profile(folder / "tensorboard", config.train.profile, say))
    if config.train.tensorboard and is_main():
        callback, note = tensorboard_callback(folder / "tensorboard")
        if callback is None:
            say(note)
        else:
            callbacks.append(callback)
    return callbacks


def _silently(line):
    pass


def _identity(config, train, val):
    """What a run that is continued has in common with its beginning: settings and data."""
    free = {"tensorboard", "profile", "jit_compile", "state_every", "devices"}
    return {
        **config.model_dump(mode="json", exclude={"run": True, "train": free, "published": True}),
        "class_names": list(train.class_names),
        "images": {"train": train.fingerprint(), "val": val.fingerprint()},
    }


def _some(names, count=5):
    return [*names[:count], "..."] if len(names) > count else list(names)
