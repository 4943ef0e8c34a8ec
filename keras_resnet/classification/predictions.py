"""What a classifier made of each image of a data set: a few bytes an image."""

import dataclasses

import numpy as np

from keras_resnet.training.processes import gather


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for N images.

    Attributes:
        positions: int array `(N,)`, of the images in their data set.
        labels: int array `(N,)`, true classes.
        predicted: int array `(N,)`, predicted classes; -1 where the logits were no numbers.
        scores: float array `(N,)`, probabilities of the predicted classes, 0..1.

    Example:
    >>> from keras_resnet.classification.evaluation import ClassificationFigures
    >>> rows = []
    >>> figures = ClassificationFigures(rows)
    >>> figures.add(np.array([[0.0, 0.0], [np.log(3.0), 0.0]]), np.array([1, 0]))
    >>> Predictions.of_batches(rows).scores.round(3).tolist()
    [0.5, 0.75]
    """

    positions: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray

    @classmethod
    def of_batches(cls, rows, positions=None):
        """Puts batches together; where several processes train, to be called in all of them.

        Args:
            rows: list that `evaluate_logits` or `evaluate_views` filled, of a process its shares
                of the batches.
            positions: int array, of the images that were evaluated; None for the whole data set.

        Returns:
            `Predictions`, for all processes those of all.
        """
        shares = gather([[column.tolist() for column in batch] for batch in rows])
        batches = [share[number] for number in range(len(rows)) for share in shares]
        types = ("int32", "int32", "float32")
        labels, predicted, scores = (
            np.concatenate([np.array(batch[column], kind) for batch in batches])
            for column, kind in enumerate(types)
        )
        real = labels >= 0
        if positions is None:
            positions = np.arange(real.sum())
        return cls(np.asarray(positions), labels[real], predicted[real], scores[real])

    @property
    def right(self):
        """bool array `(N,)`, which images were classified rightly."""
        return self.predicted == self.labels
