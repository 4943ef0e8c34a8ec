"""Callbacks of detector training."""

import time

import keras

from detection.data import numpy_batches
from detection.evaluation import evaluate
from detection.predict import predict_dataset

# Names that dashboards parse.
COLUMNS = {"metrics/mAP50-95": "AP", "metrics/mAP50": "AP50", "metrics/mAP75": "AP75"}


class Evaluation(keras.callbacks.Callback):
    """Evaluates by pycocotools every few epochs and at the end, and adds AP to the logs.

    Place it before callbacks that read the logs.

    Args:
        batches: evaluation batches.
        dataset: the `DetectionDataset` they come from.
        every: epochs between evaluations.
        epochs: number of the last epoch.
        say: callable that prints a line.

    Attributes:
        last: figures of the latest evaluation by name, `AP`, `AP50`, `AP75`.
    """

    def __init__(self, batches, dataset, every, epochs, say=print):
        super().__init__()
        self.batches = batches
        self.dataset = dataset
        self.ground_truth = dataset.to_coco()
        self.every = every
        self.epochs = epochs
        self.say = say
        self.last = {}

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every and epoch + 1 != self.epochs:
            return
        start = time.monotonic()
        results = predict_dataset(self.model, numpy_batches(self.batches), self.dataset)
        metrics = evaluate(self.ground_truth, results)
        spent = time.monotonic() - start
        self.last = {name: metrics[name] for name in COLUMNS.values()}
        if logs is not None:
            logs.update({column: metrics[name] for column, name in COLUMNS.items()})
        self.say(
            f"evaluated {len(self.dataset)} images in {spent:.1f} s: AP {metrics['AP']:.3f}, "
            f"AP50 {metrics['AP50']:.3f}, AP75 {metrics['AP75']:.3f}"
        )


class StopAfter(keras.callbacks.Callback):
    """Ends training after a number of steps, also within an epoch.

    Args:
        steps: int, steps of the whole run.
        done: int, steps done before, in a run that is continued.
    """

    def __init__(self, steps, done=0):
        super().__init__()
        self.steps = steps
        self.done = done

    def on_train_batch_end(self, batch, logs=None):
        # With several steps an execution, `batch` jumps; it counts from 0 in each epoch.
        if self._epoch_start + batch + 1 >= self.steps:
            self.model.stop_training = True
        self.done = self._epoch_start + batch + 1

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_start = self.done
