"""What detector training does at the end of an epoch."""

import time

from detection.data import numpy_batches
from detection.evaluation import evaluate
from detection.predict import predict_dataset
from keras_resnet.training.processes import gather, on_own_device

# Names that dashboards parse.
COLUMNS = {"metrics/mAP50-95": "AP", "metrics/mAP50": "AP50", "metrics/mAP75": "AP75"}


def predict_together(model, batches, dataset):
    """`predict_dataset` of all processes that train together, each on its share of the batches.

    Args:
        model: the `FasterRCNN`.
        batches: this process' share of the evaluation batches of `dataset`.
        dataset: the `DetectionDataset` they come from.

    Returns:
        List of COCO results of all processes, the same in each, in the order of the data set.
    """
    with on_own_device(model):
        own = predict_dataset(model, numpy_batches(batches), dataset)
    results = [result for part in gather(own) for result in part]
    place = {record.image_id: i for i, record in enumerate(dataset.records)}
    return sorted(results, key=lambda result: place[result["image_id"]])


class Evaluation:
    """Evaluates a detector by pycocotools; to be given to `fit` as `evaluate`.

    Args:
        model: the `FasterRCNN`.
        batches: evaluation batches; where several processes train, this one's share of them.
        dataset: the `DetectionDataset` they come from.
        say: callable that prints a line.
    """

    def __init__(self, model, batches, dataset, say=print):
        self.model = model
        self.batches = batches
        self.dataset = dataset
        self.ground_truth = dataset.to_coco()
        self.say = say

    def __call__(self, epoch):
        """The figures of the model as it is: dict from column to float."""
        start = time.monotonic()
        results = predict_together(self.model, self.batches, self.dataset)
        metrics = evaluate(self.ground_truth, results)
        spent = time.monotonic() - start
        self.say(
            f"evaluated {len(self.dataset)} images in {spent:.1f} s: AP {metrics['AP']:.3f}, "
            f"AP50 {metrics['AP50']:.3f}, AP75 {metrics['AP75']:.3f}"
        )
        return {column: metrics[name] for column, name in COLUMNS.items()}
