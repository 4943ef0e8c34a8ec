"""Which classes are taken for which, counted without a matrix: classes may be many."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ClassCounts:
    """Counts of K classes.

    Attributes:
        images, predicted, right: int arrays `(K,)`: images of each class, images that were
            predicted to be of it, and those of them that are.
        pairs: int array `(P, 3)` of `(true, predicted, count)`, the pairs of different classes
            that occur, the most frequent first.
    """

    images: np.ndarray
    predicted: np.ndarray
    right: np.ndarray
    pairs: np.ndarray

    @property
    def accuracy(self):
        """Share of each class' images that were found, or recall: NaN where there are none."""
        return _share(self.right, self.images)

    @property
    def precision(self):
        """Share of each class' predictions that are right, NaN where there are none."""
        return _share(self.right, self.predicted)

    @property
    def f1(self):
        """Harmonic mean of precision and recall, NaN where nothing is and nothing was predicted."""
        return _share(2 * self.right, self.images + self.predicted)

    def matrix(self):
        """int array `(K, K)`, true classes in rows, predicted ones in columns."""
        found = np.diag(self.right)
        found[self.pairs[:, 0], self.pairs[:, 1]] = self.pairs[:, 2]
        return found


def count_classes(predictions, classes):
    """Counts what was predicted for the images of each class.

    Args:
        predictions: a `Predictions`.
        classes: int, how many classes there are.

    Returns:
        A `ClassCounts`.

    Example:
    >>> from keras_resnet.classification.predictions import Predictions
    >>> labels, predicted = np.array([0, 0, 1]), np.array([0, 1, 1])
    >>> counts = count_classes(Predictions(np.arange(3), labels, predicted, np.ones(3)), 2)
    >>> counts.matrix().tolist(), counts.accuracy.tolist()
    ([[1, 1], [0, 1]], [0.5, 1.0])
    """
    labels, predicted = predictions.labels, predictions.predicted
    wrong = (predicted >= 0) & ~predictions.right
    keys, numbers = np.unique(
        labels[wrong].astype("int64") * classes + predicted[wrong], return_counts=True
    )
    pairs = np.stack([*np.divmod(keys, classes), numbers], axis=1)
    return ClassCounts(
        images=np.bincount(labels, minlength=classes),
        predicted=np.bincount(predicted[predicted >= 0], minlength=classes),
        right=np.bincount(labels[predictions.right], minlength=classes),
        pairs=pairs[np.argsort(-numbers, kind="stable")],
    )


def _share(part, whole):
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
