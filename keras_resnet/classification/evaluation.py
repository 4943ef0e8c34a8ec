"""Accuracy and loss of a classifier, summed in NumPy over batches."""

import numpy as np

from keras_resnet.data.batches import numpy_batches
from keras_resnet.replicas import predict_batch
from keras_resnet.training.processes import gather, on_own_device


class ClassificationFigures:
    """Sums loss, top-1 and top-5 over batches of logits or logarithms of probabilities.

    Of equal logits the lower class comes first, as `argmax` takes it; an image whose own logit is
    not finite is wrong.

    Example:
    >>> figures = ClassificationFigures()
    >>> figures.add(np.array([[0.0, 0.0], [3.0, 1.0]]), np.array([1, 0]))
    >>> figures.result()["accuracy"]
    0.5
    """

    def __init__(self):
        self._loss, self._first, self._fifth, self._count = 0.0, 0, 0, 0

    def add(self, logits, labels):
        """Adds a batch.

        Args:
            logits: float array `(B, classes)`.
            labels: int array `(B,)`, -1 for rows that do not count.
        """
        logits, labels = np.asarray(logits, "float64"), np.asarray(labels)
        logits, labels = logits[labels >= 0], labels[labels >= 0]
        if not len(labels):
            return
        own = logits[np.arange(len(labels)), labels]
        top = logits.max(axis=1)
        self._loss += float(np.sum(np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - own))
        before = np.arange(logits.shape[1])[None] < labels[:, None]
        rank = (logits > own[:, None]).sum(axis=1)
        rank += ((logits == own[:, None]) & before).sum(axis=1)
        rank[~np.isfinite(own)] = logits.shape[1]
        self._first += int((rank == 0).sum())
        self._fifth += int((rank < 5).sum())
        self._count += len(labels)

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


def evaluate_logits(model, batches):
    """Evaluates a model from whatever the batches hold to logits.

    Args:
        model: `keras.Model`, built.
        batches: what `make_batches` returns outside training: `(x, y)`, int labels `y` `(B,)`,
            -1 for rows that only fill the batch. Where several processes train together, this
            one's share of them; the figures are those of all.

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
    own, everyone = ClassificationFigures(), ClassificationFigures()
    with on_own_device(model):
        for x, labels in numpy_batches(batches):
            own.add(predict_batch(model, x), labels)
    for sums in gather(own.sums):
        everyone.add_sums(sums)
    return everyone.result()
