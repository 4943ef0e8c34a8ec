"""Accuracy and loss of a classifier, summed in NumPy over batches."""

import numpy as np

from keras_resnet.data.batches import numpy_batches
from keras_resnet.replicas import predict_batch
from keras_resnet.training.processes import gather, on_own_device


class ClassificationFigures:
    """Sums loss, top-1 and top-5 over batches of logits or logarithms of probabilities.

    Of equal logits the lower class comes first, as `argmax` takes it; an image whose own logit is
    not finite is wrong.

    Args:
        rows: list, to which each batch adds `(labels, predicted, scores)`, arrays `(B,)`: the
            class with the highest logit, -1 where that is no number, and its probability. Rows
            that do not count are among them, with the label -1. None to keep only sums.

    Example:
    >>> figures = ClassificationFigures()
    >>> figures.add(np.array([[0.0, 0.0], [3.0, 1.0]]), np.array([1, 0]))
    >>> figures.result()["accuracy"]
    0.5
    """

    def __init__(self, rows=None):
        self._rows = rows
        self._loss, self._first, self._fifth, self._count = 0.0, 0, 0, 0

    def add(self, logits, labels):
        """Adds a batch.

        Args:
            logits: float array `(B, classes)`.
            labels: int array `(B,)`, -1 for rows that do not count.
        """
        logits, everyone = np.asarray(logits, "float64"), np.asarray(labels)
        real = everyone >= 0
        predicted = np.full(len(everyone), -1, "int32")
        scores = np.zeros(len(everyone), "float32")
        if real.any():
            predicted[real], scores[real] = self._count_in(logits[real], everyone[real])
        if self._rows is not None:
            self._rows.append((everyone.astype("int32"), predicted, scores))

    def _count_in(self, logits, labels):
        own = logits[np.arange(len(labels)), labels]
        top = logits.max(axis=1)
        total = np.exp(logits - top[:, None]).sum(axis=1)
        self._loss += float(np.sum(np.log(total) + top - own))
        before = np.arange(logits.shape[1])[None] < labels[:, None]
        rank = (logits > own[:, None]).sum(axis=1)
        rank += ((logits == own[:, None]) & before).sum(axis=1)
        rank[~np.isfinite(own)] = logits.shape[1]
        self._first += int((rank == 0).sum())
        self._fifth += int((rank < 5).sum())
        self._count += len(labels)
        predicted = np.where(np.isfinite(top), logits.argmax(axis=1), -1)
        # The highest logit's own term of `total` is 1.
        return np.where(rank == 0, labels, predicted), np.nan_to_num(1.0 / total)

    @property
    def sums(self):
        """What the figures are made of, as plain numbers: tuple."""
        return self._loss, self._first, self._fifth, self._count

    def add_sums(self, sums):
        """Adds the `sums` of other batches."""
        loss, first, fifth, count = sums
        self._loss += loss
        self._first += first
        self._fifth += fifth
        self._count += count

    def result(self):
        """The figures so far.

        Returns:
            Dict of floats `loss` (mean cross-entropy), `accuracy` (top-1) and `top5`, and the int
            `images`.

        Raises:
            ValueError: nothing was added.
        """
        if self._count == 0:
            raise ValueError("There are no labelled images to evaluate.")
        return {
            "loss": self._loss / self._count,
            "accuracy": self._first / self._count,
            "top5": self._fifth / self._count,
            "images": self._count,
        }


def evaluate_logits(model, batches, rows=None):
    """Evaluates a model from whatever the batches hold to logits.

    Args:
        model: `keras.Model`, built.
        batches: what `make_batches` returns outside training: `(x, y)`, int labels `y` `(B,)`,
            -1 for rows that only fill the batch. Where several processes train together, this
            one's share of them; the figures are those of all.
        rows: list, to which this process' batches add what was predicted for each image, see
            `ClassificationFigures`; None to keep nothing.

    Returns:
        Dict of floats `loss` (mean cross-entropy), `accuracy` (top-1) and `top5`, and the int
        `images`.

    Raises:
        ValueError: no labelled images.

    Example:
    ```python
    figures = evaluate_logits(model, batches)
    ```
    """
    own, everyone = ClassificationFigures(rows), ClassificationFigures()
    with on_own_device(model):
        for x, labels in numpy_batches(batches):
            own.add(predict_batch(model, x), labels)
    for sums in gather(own.sums):
        everyone.add_sums(sums)
    return everyone.result()
