"""Trains the runs of an experiment one after the other and reports on all that are finished."""

import dataclasses
import gc
import shutil
from pathlib import Path

import keras

from keras_resnet.classification.config import ClassifierConfig
from keras_resnet.classification.train import train_classifier
from keras_resnet.experiments.grid import Run
from keras_resnet.experiments.images import describe_images, image_overrides, read_images
from keras_resnet.experiments.measure import finite, measure_end, measure_start
from keras_resnet.experiments.records import read_record, write_record, write_whole
from keras_resnet.experiments.report import write_report
from keras_resnet.experiments.settings import common_part, config_of
from keras_resnet.training import strict_json
from keras_resnet.training.divergence import TrainingDiverged
from keras_resnet.training.drift import refuse_drift
from keras_resnet.training.locks import held
from keras_resnet.training.results import read_results
from keras_resnet.training.run_state import holds_state

EXPERIMENT = "experiment.json"


def plan(runs, settings, folder):
    """Lists runs with their steps and whether they are done, without training any.

    Args:
        runs: list of `Run`.
        settings: a `Settings`.
        folder: path of the experiment's folder; need not exist.

    Returns:
        List of `(run, config, state)`; `state` is `"finished"`, `"diverged"`, `"interrupted"` or
        `"to do"`.
    """
    rows = []
    for run in runs:
        config = config_of(run, settings, ["data.root=images"])
        place = Path(folder) / "runs" / run.name
        record = read_record(place)
        state = "interrupted" if holds_state(place / "weights") else "to do"
        rows.append((run, config, record["status"] if record else state))
    return rows


def reproduce(runs, settings, data, folder, download=False, say=print):
    """Trains all runs that are not finished yet and writes tables and figures.

    A run that was interrupted continues where it was; one that diverges is noted, and the next
    one begins. Calling it again with more runs extends the tables. Several processes may work at
    the same runs, each on a device of its own: each takes the next that no other has.

    Args:
        runs: list of `Run`, as `make_grid` makes it.
        settings: a `Settings`.
        data: str, see `image_overrides`.
        folder: path of the experiment's folder, made if missing.
        download: bool, whether TensorFlow Datasets may download.
        say: callable that prints a line.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: the images cannot be used, or the folder holds runs of other settings.

    Example:
    ```python
    runs = make_grid(["plain", "residual"], [20, 56], ["zero_pad"], seeds=[0, 1])
    reproduce(runs, Settings(steps=3000), "cifar10_subset.npz", "runs/degradation")
    ```
    """
    folder = Path(folder)
    train, test, images = read_images(image_overrides(data, download))
    configs = [config_of(run, settings, images) for run in runs]
    _same_settings(folder, settings, images, describe_images(train, test))
    for number, (run, config) in enumerate(zip(runs, configs), 1):
        place = folder / "runs" / run.name
        head = f"[{number}/{len(runs)}] {run.name}"
        with held(folder / "runs" / f".{run.name}.lock") as mine:
            if not mine:
                say(f"{head}: another process is at it")
                continue
            if read_record(place) is not None:
                say(f"{head}: finished before")
                continue
            say(f"{head}: {config.train.steps:,} steps")
            record = _train(run, config, folder / "runs", train, test, say)
            write_record(place, record)
            write_report(folder)
        say(_line(run, record))
    write_report(folder)
    say(f"tables and figures in {folder}")
    return folder


def _same_settings(folder, settings, images, described):
    """Refuses to mix settings in one folder."""
    config = config_of(Run("residual", 20, "zero_pad", 0), settings, images)
    path = folder / EXPERIMENT
    if path.is_file():
        stored = strict_json.loads(path.read_bytes(), str(path))
        # Read by the schema, which gives fields that are newer than the file their defaults.
        before = common_part(ClassifierConfig.model_validate(stored["config"]))
        refuse_drift(
            {**before, "images": stored["images"]},
            {**common_part(config), "images": described},
            folder,
        )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"{folder} holds something else than an experiment; choose another name or folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    content = {"config": config.model_dump(mode="json"), "images": described}
    write_whole(path, strict_json.dumps(content))


def _train(run, config, project, train, test, say):
    """Trains and measures one run; returns its record."""
    # What earlier runs left in the process.
    keras.backend.clear_session()
    gc.collect()
    place = project / run.name
    resume = holds_state(place / "weights")
    if not resume and place.exists():
        # It died before its first state was on disk.
        shutil.rmtree(place)
    config = config.model_copy(
        update={
            "run": config.run.model_copy(
                update={"project": str(project), "name": run.name, "resume": resume}
            )
        }
    )
    parameters, gradients = measure_start(config, train)
    per_epoch = steps_per_epoch(config, len(train))
    record = {
        "run": dataclasses.asdict(run),
        "status": "finished",
        "diverged_at": None,
        "parameters": parameters,
        "steps": config.train.steps,
        "batch": config.data.pipeline.batch_size,
        "warmup_steps": config.train.warmup_length,
        "train_images": len(train),
        "test_images": len(test),
        "backend": keras.backend.backend(),
        "gradients_start": gradients,
    }
    try:
        _, metrics = train_classifier(config, say)
    except TrainingDiverged as error:
        record["status"] = "diverged"
        record["diverged_at"] = error.epoch * per_epoch + error.step + 1
    else:
        record["test_error"] = 1.0 - metrics["accuracy"]
        record["test_loss"] = finite(metrics["loss"])
        record["best_test_error"] = 1.0 - metrics["best_accuracy"]
        record |= measure_end(config, place, train, test)
    rows = read_results(place / "results.csv")
    # Seconds of all processes that had a part in it.
    record["minutes"] = round(float(rows[-1]["time"]) / 60, 3) if rows else 0.0
    record["curve"] = _curve(rows, per_epoch, config.train.steps)
    return record


def steps_per_epoch(config, count):
    """Steps in which a run sees each of `count` images once."""
    batch = config.data.pipeline.batch_size
    return count // batch if config.data.pipeline.drop_remainder else -(-count // batch)


def _curve(rows, per_epoch, steps):
    """Errors over iterations; the training error is that of the running epoch, augmented."""
    rows = [row for row in rows if row.get("val/accuracy")]
    return {
        "steps": [min(int(row["epoch"]) * per_epoch, steps) for row in rows],
        "train_error": [finite(1.0 - float(row["train/accuracy"])) for row in rows],
        "test_error": [finite(1.0 - float(row["val/accuracy"])) for row in rows],
    }


def _line(run, record):
    if record["status"] == "diverged":
        return f"{run.name}: diverged at step {record['diverged_at']}"
    return (
        f"{run.name}: test error {100 * record['test_error']:.2f} %, training error "
        f"{100 * record['final_train_error']:.2f} %, {record['minutes']:.1f} minutes"
    )
