"""What detector training does at the end of an epoch."""

import time

import keras
import numpy as np

from detection.data import numpy_batches
from detection.evaluation import evaluate
from detection.predict import predict_dataset
from detection.visualize import draw_detections, image_grid
from keras_resnet.training.processes import gather, on_own_device
from keras_resnet.training.tensorboard import Pictures

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
        self.latest = None  # (epoch, COCO results)

    def __call__(self, epoch):
        """The figures of the model as it is: dict from column to float."""
        start = time.monotonic()
        results = predict_together(self.model, self.batches, self.dataset)
        self.latest = (epoch, results)
        metrics = evaluate(self.ground_truth, results)
        spent = time.monotonic() - start
        self.say(
            f"evaluated {len(self.dataset)} images in {spent:.1f} s: AP {metrics['AP']:.3f}, "
            f"AP50 {metrics['AP50']:.3f}, AP75 {metrics['AP75']:.3f}"
        )
        return {column: metrics[name] for column, name in COLUMNS.items()}


class DetectionImages(keras.callbacks.Callback):
    """Shows in TensorBoard what the detector finds on a few validation images.

    Args:
        evaluation: the `Evaluation` whose results are drawn, after each epoch that has one.
        folder: path of TensorBoard's logs; it writes into their part `validation`.
        count: int, images, the first of the data set.
        min_score: float, least score of what is drawn.
    """

    def __init__(self, evaluation, folder, count=8, min_score=0.3):
        super().__init__()
        self.evaluation, self.count, self.min_score = evaluation, count, min_score
        self._log = Pictures(folder / "validation")

    def on_epoch_end(self, epoch, logs=None):
        if self.evaluation.latest is None or self.evaluation.latest[0] != epoch:
            return
        grid = np.asarray(image_grid(self._pictures(self.evaluation.latest[1])))
        self._log.add("detections", grid, step=epoch)

    def on_train_end(self, logs=None):
        self._log.close()

    def _pictures(self, results):
        dataset = self.evaluation.dataset
        index_of = {category.id: i for i, category in enumerate(dataset.categories)}
        for row, record in enumerate(dataset.records[: self.count]):
            found = [r for r in results if r["image_id"] == record.image_id]
            boxes = np.array([r["bbox"] for r in found], "float32").reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            yield draw_detections(
                dataset.read_image(row),
                boxes,
                [index_of[r["category_id"]] for r in found],
                [r["score"] for r in found],
                class_names=list(dataset.class_names),
                min_score=self.min_score,
            )
