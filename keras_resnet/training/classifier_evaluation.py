"""Accuracy and loss of a classifier, summed in NumPy over batches."""

import numpy as np

from keras_resnet.data.batches import numpy_batches


def evaluate_logits(model, batches):
    """Evaluates a model from whatever the batches hold to logits.

    Args:
        model: `keras.Model`, built.
        batches: what `make_batches` returns outside training: `(x, y)`, int labels `y` `(B,)`,
            -1 for rows that only fill the batch.

    Returns:
        Dict of floats `loss` (mean cross-entropy), `accuracy` (top-1) and `top5`, and the int
        `images`.

    Example:
    ```python
    figures = evaluate_logits(model, batches)
    ```
    """
    loss, first, fifth, count = 0.0, 0, 0, 0
    for x, labels in numpy_batches(batches):
        logits = np.asarray(model.predict_on_batch(x), "float64")
        logits, labels = logits[labels >= 0], labels[labels >= 0]
        if not len(labels):
            continue
        own = logits[np.arange(len(labels)), labels]
        top = logits.max(axis=1)
        loss += float(np.sum(np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - own))
        # The rank of the right class; of equal logits the lower class comes first.
        before = np.arange(logits.shape[1])[None] < labels[:, None]
        rank = (logits > own[:, None]).sum(axis=1)
        rank += ((logits == own[:, None]) & before).sum(axis=1)
        rank[~np.isfinite(own)] = logits.shape[1]
        first += int((rank == 0).sum())
        fifth += int((rank < 5).sum())
        count += len(labels)
    if count == 0:
        raise ValueError("There are no labelled images to evaluate.")
    return {
        "loss": loss / count,
        "accuracy": first / count,
        "top5": fifth / count,
        "images": count,
    }
